// Words of every command that trains: the optimizer, the schedule, batches, evaluation, logs; and a file that holds them.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "formats/json.h"
#include "train/compute.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/trained_tensor.h"

namespace kinglet::cli {

struct TrainingWords {
  std::string out, config;
  // batches
  int64_t batch = 8, accumulate = 1, sequence = 0;
  bool no_pack = false, no_shuffle = false;
  uint64_t seed = 1;
  // the run
  int64_t steps = 0;
  double epochs = 1;
  double rate = 3e-4, least_rate = 0;
  std::string schedule = "cosine", optimizer = "adamw";
  int64_t warmup = -1, decay_steps = -1;
  std::vector<double> betas{0.9, 0.95};
  double eps = 1e-8, weight_decay = 0.1, dropout = 0, clip = 1.0, most_rise = 3.0, lora_plus = 1;
  bool decay_all = false;
  std::string checkpointing = "auto", compute = "auto";
  // what is written
  int64_t evaluate_every = 0, checkpoint_every = 500;
  std::string log, tensorboard, report;
  std::vector<std::string> prompts;
  bool resume = false, overwrite = false, plan = false;
};

void add_training(Arguments arguments, TrainingWords& words);
void add_dropout(Arguments arguments, TrainingWords& words);

/// Errors: invalid_argument for a name that is none, and Schedule::check's. `steps`: of the run.
Result<train::Schedule> schedule_of(const TrainingWords& words, int64_t steps);
Result<train::OptimizerOptions> optimizer_of(const TrainingWords& words);
train::Compute compute_of(const TrainingWords& words);
train::TrainedTensorOptions tensor_options_of(const TrainingWords& words);

/// What decides the course of a run, for checkpoints: a run that differs in one of these is another one.
Json course_of(const TrainingWords& words, int64_t steps);

}  // namespace kinglet::cli
