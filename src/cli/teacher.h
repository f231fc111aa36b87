// Larger models beside the one that is trained: their distributions are learned together with the data's labels.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arch/model_spec.h"
#include "cli/command.h"
#include "cli/training_plan.h"
#include "tokenizer/tokenizer.h"
#include "train/ensemble.h"
#include "train/graph.h"

namespace kinglet::cli {

struct TeacherWords {
  std::vector<std::string> models;  ///< empty: none; of several, the mean of their distributions is learned
  double alpha = 0.5, temperature = 2;
};
/// Declares --teacher, --distill-alpha and --temperature.
void add_teacher(Arguments arguments, TeacherWords& words);

class Teacher {
 public:
  /// Opens the models; their weights are not read yet. `tokenizer` is the student's, null where it has none. Errors:
  /// invalid_argument where one does not share its vocabulary; those of the readers.
  static Result<std::unique_ptr<Teacher>> open(const TeacherWords& words, const ModelSpec& student,
                                               const Tokenizer* tokenizer);

  /// Adds the weights and batches to the plan. Errors: those of train/needs.h.
  Status count(const Parallel& parallel, int64_t batch_tokens, TrainingPlan& plan) const;
  /// Loads the weights, held as the files have them, to be multiplied as `compute` says. Errors: those of train::Parameters.
  Status load(const Parallel& parallel, train::Compute compute, Ledger& ledger);

  /// What a run learns: (1 - alpha) of the labels' loss and alpha of temperature^2 KL(teacher, student). What is held out is
  /// scored by its labels alone. The student's graph, this and the ledger must outlive it.
  train::Passes passes(train::Graph& student);
  /// For checkpoints.
  Json course() const;

 private:
  /// Not movable: the graph looks at the parameters.
  struct Model {
    explicit Model(Checkpoint opened) : checkpoint(std::move(opened)) {}
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    Checkpoint checkpoint;
    ModelSpec spec{};
    std::optional<train::Parameters> parameters{};
    std::optional<train::Graph> graph{};
  };
  explicit Teacher(const TeacherWords& words) : words_(words) {}
  Result<train::TeacherLogits> lesson(const train::Batch& batch);

  TeacherWords words_;
  std::vector<std::unique_ptr<Model>> models_;
  Parallel parallel_ = Parallel::serial();
  std::optional<train::EnsembleScratch> scratch_;
};

}  // namespace kinglet::cli
