// What the commands that train share once the model and the data are there: the plan, the loop with its logs and its bar, the report.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/training_options.h"
#include "train/language_modeling.h"
#include "train/objective.h"
#include "train/parameters.h"
#include "train/report.h"

namespace kinglet::cli {

/// What a run will take, known before its first step.
struct TrainingPlan {
  int64_t parameters = 0, trained = 0;  ///< values
  int64_t samples = 0, tokens = 0, held_out_tokens = 0;
  int64_t steps = 0, batches = 0;                                                 ///< of the whole run
  int64_t step_tokens = 0;                                                        ///< at most
  bool recompute = false;                                                         ///< Checkpointing::layers
  uint64_t weights = 0, gradients = 0, optimizer = 0, activations = 0, data = 0;  ///< bytes
  std::optional<double> batch_seconds;                                            ///< measured

  uint64_t bytes() const;
};
Json to_json(const TrainingPlan& plan);
std::string text_of(const TrainingPlan& plan);
/// Bytes of gradients and optimizer state for what is trained.
void count_parameters(const train::Parameters& parameters, train::OptimizerKind optimizer, TrainingPlan& plan);

/// Samples and tokens of the data, and what they take.
void count_data(const train::Dataset& training, const train::Dataset* held_out, TrainingPlan& plan);
/// Steps and batches of the run, and the tokens of a step at most.
void count_steps(const TrainingWords& words, train::DataOrder order, const train::StepShape& shape, TrainingPlan& plan);
/// On standard output: as text, or as JSON where both --json and --plan ask for it alone.
void print_plan(const CommonOptions& common, const TrainingWords& words, const TrainingPlan& plan);

/// Errors: invalid_argument where the out folder holds an unfinished run that is neither resumed nor overwritten, or nothing to resume.
Status check_out_folder(const TrainingWords& words);

struct TrainingTask {
  const CLI::App* app = nullptr;
  const TrainingWords* words = nullptr;
  train::Objective* objective = nullptr;
  std::vector<train::TrainedTensor> tensors;
  Json course;  ///< course_of() and what else decides the run: the data, the model
  TrainingPlan plan;
  Parallel parallel = Parallel::serial();
};

/// What came of it.
struct TrainingOutcome {
  int64_t first_step = 0;
  double first_loss = 0, last_loss = 0;
  std::optional<double> held_out;
  double seconds = 0;
  int64_t tokens = 0;  ///< in this process
};

/// Trains, shows a bar, writes log, event files and checkpoints. Errors: Trainer::run's; io.
Result<TrainingOutcome> run_training(const TrainingTask& task);

/// Writes the settings and the report. Errors: io.
Status write_report(const TrainingTask& task, const std::string& title, const TrainingOutcome& outcome,
                    std::vector<train::ReportSample> samples);

std::string checkpoint_path(const TrainingWords& words);
std::string log_path(const TrainingWords& words);

}  // namespace kinglet::cli
