#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "host/error.h"
#include "train/checkpoint.h"

namespace kinglet::train {
namespace {

/// A tensor must have changed by the end of this many steps after the warmup. Not by the first: half of a LoRA pair starts at 0, and
/// so does the other half's gradient.
constexpr int64_t kStepsToChange = 4;

void zero_gradients(std::span<const TrainedTensor> tensors, const Parallel& parallel) {
  const std::vector<Piece> pieces = cut_pieces(tensors);
  parallel.for_each(static_cast<int64_t>(pieces.size()), [&](int64_t i, int) {
    const Piece& p = pieces[static_cast<size_t>(i)];
    std::memset(tensors[p.tensor].gradient.data() + p.begin, 0, (p.end - p.begin) * sizeof(float));
  });
}

}  // namespace

Trainer::Trainer(const TrainerOptions& options, std::unique_ptr<Optimizer> optimizer,
                 std::vector<TrainedTensor> tensors, Objective& objective)
    : options_(options),
      optimizer_(std::move(optimizer)),
      tensors_(std::move(tensors)),
      objective_(&objective),
      watchdog_(options.most_loss_rise) {}

Result<Trainer> Trainer::create(const TrainerOptions& options, const OptimizerOptions& optimizer,
                                std::vector<TrainedTensor> tensors, Objective& objective) {
  KL_TRY(options.schedule.check());
  if (tensors.empty()) return Status(Code::invalid_argument, "nothing is trained");
  OptimizerOptions chosen = optimizer;
  chosen.parallel = options.parallel;
  KL_ASSIGN(auto made, make_optimizer(chosen, tensors));
  return Trainer(options, std::move(made), std::move(tensors), objective);
}

Status Trainer::resume() {
  KL_ASSIGN(const Json head, read_checkpoint_state(options_.checkpoint));
  const std::string difference = settings_difference(options_.settings, head.value("settings", Json::object()));
  if (!difference.empty())
    return error(Code::invalid_argument, "{}: cannot go on from here: {}", options_.checkpoint, difference);
  KL_ASSIGN(const Json state, load_checkpoint(options_.checkpoint, tensors_, optimizer_->state()));
  for (const char* key : {"step", "tokens"})
    if (!state.contains(key) || !state[key].is_number_unsigned())
      return error(Code::corrupt, "{}: no \"{}\"", options_.checkpoint, key);
  const Status moved = objective_->restore(state.value("cursor", Json()));
  if (!moved.ok()) return annotate(options_.checkpoint, moved);
  watchdog_.restore(state.value("watchdog", Json()));
  step_ = state["step"].get<int64_t>();
  tokens_ = state["tokens"].get<int64_t>();
  return ok_status();
}

Status Trainer::save() const {
  if (options_.checkpoint.empty() || !options_.saves) return ok_status();
  const Json state{{"step", step_},
                   {"tokens", tokens_},
                   {"cursor", objective_->cursor()},
                   {"watchdog", watchdog_.state()},
                   {"settings", options_.settings}};
  return save_checkpoint(options_.checkpoint, state, tensors_, optimizer_->state());
}

Result<StepRecord> Trainer::one_step() {
  const auto start = std::chrono::steady_clock::now();
  zero_gradients(tensors_, options_.parallel);
  StepRecord record{.step = step_, .learning_rate = options_.schedule.rate(step_)};
  KL_ASSIGN(record.loss, objective_->accumulate());
  record.gradient_norm = gradient_norm(tensors_, options_.parallel);
  KL_TRY(watchdog_.check(record.loss.loss, record.gradient_norm));
  optimizer_->step(++step_, record.learning_rate, clip_factor(record.gradient_norm, options_.clip), options_.parallel);
  record.tokens_so_far = tokens_ += record.loss.tokens;
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return record;
}

Status Trainer::run(const TrainerEvents& events) {
  const int64_t last = options_.schedule.total;
  const int64_t must_change_at = std::min(last, std::max(options_.schedule.warmup, step_) + kStepsToChange);
  const bool watch = must_change_at - step_ > 1;
  const ChangeWatchdog changes(watch ? std::span<const TrainedTensor>(tensors_) : std::span<const TrainedTensor>(),
                               options_.parallel);
  const auto checkpoint = [&] {
    const Status saved = save();
    if (!saved.ok() && events.checkpoint_failed) events.checkpoint_failed(saved);
    return saved;
  };
  while (step_ < last) {
    if (events.interrupted && events.interrupted()) {
      if (const Status saved = checkpoint(); !saved.ok()) return saved;
      return error(Code::cancelled, "interrupted after {} of {} steps", step_, last);
    }
    auto record = one_step();
    if (!record.ok()) return annotate(fmt::format("step {}", step_), record.status());
    if (watch && step_ == must_change_at) {
      if (const Status moved = changes.check(tensors_, options_.parallel); !moved.ok())
        return annotate(fmt::format("after {} steps", step_), moved);
    }
    if (due(options_.evaluate_every) || step_ == last) {
      KL_ASSIGN(record->held_out, objective_->evaluate());
    }
    if (events.step) KL_TRY(events.step(*record));
    if (due(options_.checkpoint_every) || (step_ == last && options_.checkpoint_every > 0)) (void)checkpoint();
  }
  return ok_status();
}

}  // namespace kinglet::train
