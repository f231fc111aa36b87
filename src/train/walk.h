// One batch on its way through a tape: resolves operands to memory and runs the operators forward and backward. Internal
// to train/; graph.h is the door.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "kernels/kernels.h"
#include "train/attention.h"
#include "train/batch.h"
#include "train/dropout.h"
#include "train/graph.h"
#include "train/product.h"
#include "train/row_norms.h"
#include "train/rope_rows.h"
#include "train/tape.h"

namespace kinglet::train {

/// What a graph has for every batch.
struct WalkTools {
  Program program;
  Parameters* parameters = nullptr;
  const KernelTable* kernels = nullptr;
  const GradientKernels* gradients = nullptr;
  Parallel parallel;
  Products products;
  RopeRows ropes;
  RowNorms norms;
  Dropout dropout;
  // Who is told which gradients are finished after which action of the backward tape; the head's after its last chunk.
  std::function<void(ParamId)> told;
  std::vector<std::vector<ParamId>> finished;
  Block attention;              ///< scratch of attention
  std::vector<float> partials;  ///< sums over a chunk of rows each, of biases' and norms' gradients
};

/// What the head learns from a teacher beside the labels.
struct DistillationWalk {
  double temperature = 1;
  double weight = 0;  ///< of temperature^2 KL(teacher, student)
  const TeacherLogits* ask = nullptr;
  float* teacher = nullptr;  ///< (chunk, V)
  float* scratch = nullptr;  ///< (workers, 2 V)
  int64_t V = 0;
  std::vector<double> divergences{};  ///< (R) in nats

  float* rows(int worker) const { return scratch + worker * 2 * V; }
};

struct Walk {
  WalkTools& tools;
  const Tape& tape;
  const Placement& placement;
  float* arena;
  const Batch& batch;
  std::span<const int32_t> outputs;  ///< (R) rows of the batch
  Extents extents;
  std::vector<float> row_weights{};  ///< (R) d loss / d negative log likelihood of each output row
  std::vector<double> row_losses{};  ///< (R) negative log likelihood in nats

  DistillationWalk* distillation = nullptr;

  // The chunk of output rows that the head is at; outside the head, all of them.
  int64_t chunk_first = 0, chunk_rows = 0;
  // Whose converted rows lie ready: products that read one slot share them.
  struct Converted {
    SlotId slot = kNone;
    int64_t chunk = 0;
    ActKind kind = ActKind::f32;
    bool operator==(const Converted&) const = default;
  };
  Converted converted;

  /// Runs the trunk or the head's loop forward, the loss, and backward where asked.
  void forward();
  enum class Head : uint8_t { loss_only, backward };
  Status head(Head which);  ///< errors: the teacher's
  /// The head's logits of the chunk at hand, row by row, and nothing else of it.
  void head_logits(const std::function<void(int64_t row, const float* logits)>& take);
  void backward();

  void run(const Action& action, Head which);
  void tell(size_t action) const;
  void run_forward(const Action& action);
  void run_backward(const Action& action);
  void run_loss(const Action& action, Head which);

  const Step& step(const Action& action) const { return tools.program.steps[static_cast<size_t>(action.step)]; }
  int64_t width(SlotId s) const { return tools.program.slots[static_cast<size_t>(s)].width; }
  const Parameter& parameter(ParamId id) const { return (*tools.parameters)[id]; }
  const float* values(ParamId id) const { return id == kNone ? nullptr : parameter(id).values.data(); }
  /// What a gain multiplies with.
  const float* gains(ParamId id) const {
    const float* over_norms = tools.norms.gains(id);
    return over_norms != nullptr ? over_norms : values(id);
  }
  /// The gradient of a parameter; null where it is frozen or absent.
  float* gradient(ParamId id) const { return id == kNone ? nullptr : parameter(id).gradient.data(); }
  Matrix matrix(Operand o, int64_t columns) const;
  Matrix matrix(Operand o, SlotId s) const { return matrix(o, width(s)); }

  static constexpr int64_t kRowChunk = 16;

  /// f(row) over [0, n).
  template <typename F>
  void for_rows(int64_t n, F&& f) const {
    tools.parallel.for_each(ceil_div(n, kRowChunk), [&](int64_t chunk, int) {
      for (int64_t i = chunk * kRowChunk; i < std::min(n, (chunk + 1) * kRowChunk); ++i) f(i);
    });
  }
  /// The sequence of a row of tokens.
  size_t sequence_of(int64_t row) const {
    const auto next = std::upper_bound(batch.starts.begin(), batch.starts.end(), static_cast<int32_t>(row));
    return static_cast<size_t>(next - batch.starts.begin()) - 1;
  }
  int64_t sequence_length(int64_t row) const {
    const size_t b = sequence_of(row);
    return batch.starts[b + 1] - batch.starts[b];
  }

  bool drops(const Action& action) const { return action.dropped != kNone && !batch.noise.empty(); }
  /// out = x without what dropout leaves out of columns [first, first + n) of a row, + `plus` where it is not null. Either may
  /// be `out`.
  void drop(const Action& action, int64_t row, int64_t first, int64_t n, const float* x, const float* plus,
            float* out) const;
};

}  // namespace kinglet::train
