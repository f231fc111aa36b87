// The backward walker: a program walked forward, keeping what its backward reads, and walked backward. It serves every
// program, so every architecture, and adapters too, which are a rewrite of the program.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arch/builder.h"
#include "base/parallel.h"
#include "host/memory.h"
#include "train/batch.h"
#include "train/checkpointing.h"
#include "train/compute.h"
#include "train/parameters.h"

namespace kinglet::train {

struct GraphOptions {
  Parallel parallel = Parallel::serial();  ///< e.g. ThreadPool::parallel(); results do not depend on it
  Checkpointing checkpointing = Checkpointing::none;
  std::string kernels;  ///< row of the kernel table by name; empty: the best
  Compute compute = Compute::f32;
  double dropout = 0;  ///< of Dropout, in backward passes of batches that have noise; [0, 1)
};

/// A loss over unmasked targets: the sum of negative log likelihoods in nats, and how many.
struct Loss {
  double sum = 0;
  int64_t count = 0;
};

/// A loss of the sequences' log probabilities (the sum over each one's unmasked targets): returns it and writes its
/// derivative by each of them to `weights`.
using SequenceLoss = std::function<double(std::span<const double> log_probs, std::span<double> weights)>;

/// Writes the logits (rows, V) that a teacher has for the output rows [first, first + rows) of a batch, its unmasked targets
/// in order.
using TeacherLogits = std::function<Status(int64_t first, int64_t rows, float* logits)>;

/// Learning from a teacher's distributions: weight * temperature^2 * KL(teacher, student) at that temperature, summed over the
/// unmasked targets, beside label_weight * negative log likelihood (Hinton et al. 2015).
struct Distillation {
  double temperature = 2;
  double weight = 1;
  double label_weight = 0;
};
struct DistilledLoss {
  Loss labels;
  double divergence = 0;  ///< sum of KL(teacher, student) in nats, without the temperature's square
};

class Graph {
 public:
  /// `program` and `parameters` (made for this program) must outlive the graph. Errors: invalid_argument (kernels that
  /// are not there), out_of_range (the dropout), unsupported (a program whose output head is not its end).
  static Result<Graph> create(const ProgramStorage& program, Parameters& parameters, const GraphOptions& options,
                              Ledger& ledger);
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;
  ~Graph();

  /// Told during a backward walk, on the thread that called it, of each trained parameter whose gradient the walk has finished.
  void on_gradient(std::function<void(ParamId)> told);

  // Errors of all below: out_of_range (tokens, targets or positions outside the model's or not as batch.h says),
  // resource_exhausted.

  /// Adds weight * d(loss sum) / d(parameter) to the gradients; weight = 1 / (unmasked targets of the whole step).
  Result<Loss> backward(const Batch& batch, double weight);
  Result<Loss> evaluate(const Batch& batch);

  /// Of each sequence, the sum of the log probabilities of its unmasked targets.
  Result<std::vector<double>> sequence_log_probs(const Batch& batch);
  /// Adds d(loss) / d(parameter) to the gradients; returns the loss. `log_probs` gets the sequences' where not null.
  Result<double> backward_sequences(const Batch& batch, const SequenceLoss& loss,
                                    std::vector<double>* log_probs = nullptr);

  /// Adds the gradient of a distillation's loss. Errors: also the teacher's.
  Result<DistilledLoss> backward_distilled(const Batch& batch, const Distillation& distillation,
                                           const TeacherLogits& teacher);
  /// This model as a teacher: walks the batch to the output head, whose chunks are then made as they are asked for. Good until
  /// the graph's next call; `batch` must live as long.
  Result<TeacherLogits> teach(const Batch& batch);

  /// (T, V) logits of a small batch, for tests and inspection: the one place that holds them whole.
  Result<std::vector<float>> logits(const Batch& batch);

 private:
  struct Impl;
  explicit Graph(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kinglet::train
