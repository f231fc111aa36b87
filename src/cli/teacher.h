// A larger model beside the one that is trained: its distributions are learned together with the data's labels.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "arch/model_spec.h"
#include "cli/command.h"
#include "cli/training_plan.h"
#include "tokenizer/tokenizer.h"
#include "train/graph.h"

namespace kinglet::cli {

struct TeacherWords {
  std::string model;  ///< empty: none
  double alpha = 0.5, temperature = 2;
};
/// Declares --teacher, --distill-alpha and --temperature.
void add_teacher(Arguments arguments, TeacherWords& words);

/// Not movable: the graph looks at the parameters.
class Teacher {
 public:
  /// Opens the model; its weights are not read yet. `tokenizer` is the student's, null where it has none. Errors:
  /// invalid_argument where the two do not share a vocabulary; those of the readers.
  static Result<std::unique_ptr<Teacher>> open(const TeacherWords& words, const ModelSpec& student,
                                               const Tokenizer* tokenizer);
  Teacher(const Teacher&) = delete;
  Teacher& operator=(const Teacher&) = delete;

  /// Adds its weights and its batch to the plan. Errors: those of train/needs.h.
  Status count(const Parallel& parallel, int64_t batch_tokens, TrainingPlan& plan) const;
  /// Loads the weights, held as the file has them. Errors: those of train::Parameters.
  Status load(const Parallel& parallel, Ledger& ledger);

  /// What a run learns: (1 - alpha) of the labels' loss and alpha of temperature^2 KL(teacher, student). What is held out is
  /// scored by its labels alone. Both graphs must outlive it.
  train::Passes passes(train::Graph& student);
  /// For checkpoints.
  Json course() const;

 private:
  explicit Teacher(const TeacherWords& words) : words_(words) {}

  TeacherWords words_;
  std::optional<Checkpoint> checkpoint_;
  ModelSpec spec_;
  std::optional<train::Parameters> parameters_;
  std::optional<train::Graph> graph_;
};

}  // namespace kinglet::cli
