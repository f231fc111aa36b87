// What a training run will take, known before its first step and before a weight is read.
#pragma once

#include <optional>
#include <string>

#include "cli/training_options.h"
#include "train/language_modeling.h"
#include "train/needs.h"

namespace kinglet::cli {

struct TrainingPlan {
  int64_t parameters = 0, trained = 0;  ///< values
  int64_t samples = 0, tokens = 0, held_out_tokens = 0;
  int64_t steps = 0, batches = 0;  ///< of the whole run
  int64_t step_tokens = 0;         ///< at most
  double run_tokens = 0;           ///< about
  train::Checkpointing checkpointing = train::Checkpointing::none;
  uint64_t weights = 0, gradients = 0, optimizer = 0, activations = 0, data = 0;  ///< bytes
  uint64_t teacher = 0;                                                           ///< bytes of all that it takes
  train::Multiplications work, teacher_work;                                      ///< of the largest batch
  double optimizer_work = 0;                                                      ///< multiply-adds of each step beside
  std::optional<double> seconds;                                                  ///< of the run
  std::string seconds_by;                                                         ///< what they are taken from

  uint64_t bytes() const;
};
std::string duration_text(double seconds);  ///< "12 minutes"
Json to_json(const TrainingPlan& plan);
std::string text_of(const TrainingPlan& plan);
/// On standard output: as text, or as JSON where both --json and --plan ask for it alone.
void print_plan(const CommonOptions& common, const TrainingWords& words, const TrainingPlan& plan);

/// Samples and tokens of the data, and what they take.
void count_data(const train::Dataset& training, const train::Dataset* held_out, TrainingPlan& plan);
/// Steps and batches of the run, and the tokens of a step at most.
void count_steps(const TrainingWords& words, train::DataOrder order, const train::StepShape& shape, TrainingPlan& plan);
/// The same where --plan comes without data: every step is whole, with sequences of `length` tokens.
void assume_steps(const TrainingWords& words, int64_t length, const train::StepShape& shape, TrainingPlan& plan);

/// The model as the run would hold it.
struct PlannedModel {
  const ProgramStorage* program = nullptr;
  train::ParameterOptions parameters;
  train::StoredType stored;
  int64_t sequence = 0;  ///< tokens of one of a batch's sequences
  train::Compute compute = train::Compute::f32;
  double dropout = 0;
};
/// Counts parameters and activations, and chooses whether layers are computed twice: as --checkpointing says, or where the rest
/// does not fit `limit` bytes or this machine. Errors: those of train/needs.h.
Status plan_memory(const PlannedModel& model, const TrainingWords& words, const train::StepShape& shape, uint64_t limit,
                   TrainingPlan& plan);
/// The time of the run by the speed of products like its own, measured here.
Status plan_time(const PlannedModel& model, const train::StepShape& shape, TrainingPlan& plan);
/// What the optimizer's matrix products take of it, by the same speed; 0 where it has none.
Result<double> optimizer_seconds(const PlannedModel& model, const TrainingPlan& plan);
/// Errors: resource_exhausted with the breakdown where the plan is beyond `limit` bytes.
Status check_memory(const TrainingPlan& plan, uint64_t limit);

/// The walker that the plan chose. Errors: those of Graph::create.
Result<train::Graph> planned_graph(const PlannedModel& model, train::Parameters& parameters, const TrainingPlan& plan,
                                   Ledger& ledger);

}  // namespace kinglet::cli
