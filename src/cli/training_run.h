// What the commands that train share once the model and the data are there: the loop with its logs and its bar, the report.
#pragma once

#include <optional>
#include <string>

#include "cli/training_options.h"
#include "cli/training_plan.h"
#include "train/collective.h"
#include "train/objective.h"
#include "train/report.h"

namespace kinglet::cli {

/// Errors: invalid_argument where the out folder holds an unfinished run that is neither resumed nor overwritten, or nothing to resume.
Status check_out_folder(const TrainingWords& words);

struct TrainingTask {
  Arguments arguments;
  const TrainingWords* words = nullptr;
  train::Objective* objective = nullptr;
  std::vector<train::TrainedTensor> tensors;
  Json course;  ///< course_of() and what else decides the run: the data, the model
  TrainingPlan plan;
  Parallel parallel = Parallel::serial();
  train::Collective* collective = nullptr;  ///< null: one process. Else the first of them writes and speaks

  bool first() const { return collective == nullptr || collective->rank() == 0; }
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
