// The loop of training: gradients, clipping, an optimizer's step, held-out evaluation, checkpoints, watchdogs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/json.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/trained_tensor.h"
#include "train/watchdog.h"

namespace kinglet::train {

struct TrainerOptions {
  Schedule schedule;
  double clip = 1.0;               ///< largest norm of all gradients together; 0: no clipping
  int64_t evaluate_every = 0;      ///< steps between evaluations on held-out data, and at the end; 0: only there
  std::string checkpoint;          ///< its file; empty: none is written
  bool saves = true;               ///< false: the file is resumed from, and another process writes it
  int64_t checkpoint_every = 0;    ///< steps between checkpoints; 0: only when the run is interrupted
  double most_loss_rise = 3.0;     ///< of LossWatchdog
  Json settings = Json::object();  ///< what decides the run's course; a checkpoint of another one is refused
  Parallel parallel = Parallel::serial();
};

/// What one step did.
struct StepRecord {
  int64_t step = 0;          ///< from 0
  StepLoss loss;             ///< before the update
  double gradient_norm = 0;  ///< before clipping
  double learning_rate = 0;
  double seconds = 0;
  int64_t tokens_so_far = 0;       ///< of the whole run
  std::optional<double> held_out;  ///< mean loss after the update, where it was evaluated
};

struct TrainerEvents {
  std::function<Status(const StepRecord&)> step;         ///< after each step; an error ends the run
  std::function<void(const Status&)> checkpoint_failed;  ///< the run goes on, and the last good one stays
  std::function<bool()> interrupted;                     ///< asked between steps
};

class Trainer {
 public:
  /// `objective` must outlive it, and the tensors' memory. Errors: those of Schedule::check and make_optimizer.
  static Result<Trainer> create(const TrainerOptions& options, const OptimizerOptions& optimizer,
                                std::vector<TrainedTensor> tensors, Objective& objective);

  /// Goes on where options.checkpoint stopped. Errors: those of load_checkpoint; invalid_argument where the settings differ.
  Status resume();

  int64_t steps_done() const { return step_; }

  /// Trains to the last step. Errors: cancelled where it was interrupted (after a checkpoint, where one has a file),
  /// out_of_range from the watchdogs with the step's number, what the objective and the events answer.
  Status run(const TrainerEvents& events);

 private:
  Trainer(const TrainerOptions& options, std::unique_ptr<Optimizer> optimizer, std::vector<TrainedTensor> tensors,
          Objective& objective);
  Result<StepRecord> one_step();
  Status save() const;
  bool due(int64_t every) const { return every > 0 && step_ % every == 0; }

  TrainerOptions options_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<TrainedTensor> tensors_;
  Objective* objective_;
  LossWatchdog watchdog_;
  int64_t step_ = 0;  ///< that are done
  int64_t tokens_ = 0;
};

}  // namespace kinglet::train
