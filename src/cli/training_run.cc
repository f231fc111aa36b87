#include "cli/training_run.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "host/interrupt.h"
#include "host/ledger.h"
#include "host/progress.h"
#include "train/checkpoint.h"
#include "train/log.h"
#include "train/tensorboard.h"
#include "train/trainer.h"

namespace kinglet::cli {
namespace {

/// The files that a run writes as it goes, and its bar. A file that cannot be written is told of once and left; the run goes on.
class Watcher {
 public:
  static Result<Watcher> create(const TrainingTask& task, int64_t first_step) {
    const TrainingWords& words = *task.words;
    KL_ASSIGN(train::JsonLog log, train::JsonLog::open(log_path(words), first_step));
    std::optional<train::EventFile> events;
    if (!words.tensorboard.empty()) {
      KL_ASSIGN(events, train::EventFile::create(words.tensorboard, first_step));
    }
    return Watcher(std::move(log), std::move(events), task.plan.steps, first_step);
  }

  void show(const train::StepRecord& r) {
    warn_once(log_.add(r), log_warned_);
    if (events_) warn_once(events_->add(r), events_warned_);
    if (outcome_.tokens == 0) outcome_.first_loss = r.loss.loss;
    outcome_.last_loss = r.loss.loss;
    outcome_.tokens += r.loss.tokens;
    outcome_.seconds += r.seconds;
    rate_ = rate_ == 0 ? speed_of(r) : rate_ + 0.1 * (speed_of(r) - rate_);
    if (r.held_out) outcome_.held_out = r.held_out;
    const std::string held_out = outcome_.held_out ? fmt::format("  held out {:.4f}", *outcome_.held_out) : "";
    bar_->set_label(fmt::format("loss {:.4f}{}  {:.0f} tokens/s  step", r.loss.loss, held_out, rate_));
    bar_->update(static_cast<uint64_t>(r.step + 1));
  }
  const TrainingOutcome& outcome() const { return outcome_; }

 private:
  Watcher(train::JsonLog log, std::optional<train::EventFile> events, int64_t steps, int64_t first_step)
      : log_(std::move(log)),
        events_(std::move(events)),
        bar_(std::make_unique<Progress>("", static_cast<uint64_t>(steps), Progress::Unit::items)) {
    outcome_.first_step = first_step;
    bar_->update(static_cast<uint64_t>(first_step));
  }
  static double speed_of(const train::StepRecord& r) {
    return r.seconds > 0 ? static_cast<double>(r.loss.tokens) / r.seconds : 0;
  }
  static void warn_once(const Status& status, bool& warned) {
    if (status.ok() || warned) return;
    warned = true;
    fmt::print(stderr, "\nkinglet: {}; training goes on\n", status.text());
  }

  train::JsonLog log_;
  std::optional<train::EventFile> events_;
  std::unique_ptr<Progress> bar_;
  TrainingOutcome outcome_;
  double rate_ = 0;  ///< tokens a second, smoothed
  bool log_warned_ = false, events_warned_ = false;
};

/// Processes that train one model have the same gradients, bit for bit, or their weights drift apart.
Status check_agreement(const TrainingTask& task, const train::StepRecord& r) {
  if (task.collective == nullptr) return ok_status();
  double sum = r.gradient_norm;
  KL_TRY(task.collective->sum({&sum, 1}));
  const double mean = sum / task.collective->size();
  if (std::abs(mean - r.gradient_norm) <= 1e-9 * mean) return ok_status();
  return error(Code::internal, "step {}: the processes' gradients differ", r.step);
}

/// The same answer for every process: they stop at one step.
bool anyone_interrupted(const TrainingTask& task) {
  double asked = InterruptScope::requested() ? 1 : 0;
  if (task.collective != nullptr && !task.collective->sum({&asked, 1}).ok()) return true;
  return asked > 0;
}

std::vector<std::pair<std::string, std::string>> figures_of(const TrainingTask& task, const TrainingOutcome& o) {
  const TrainingPlan& p = task.plan;
  std::vector<std::pair<std::string, std::string>> out{
      {"parameters", fmt::format("{} ({} trained)", p.parameters, p.trained)},
      {"data", fmt::format("{} tokens in {} samples", p.tokens, p.samples)},
      {"steps", fmt::format("{}", p.steps)},
      {"loss", fmt::format("{:.4f} at first, {:.4f} in the last step", o.first_loss, o.last_loss)}};
  if (o.held_out)
    out.emplace_back("held-out loss",
                     fmt::format("{:.4f} nats a token, over {} tokens", *o.held_out, p.held_out_tokens));
  if (o.seconds > 0)
    out.emplace_back("speed", fmt::format("{:.0f} tokens/s", static_cast<double>(o.tokens) / o.seconds));
  out.emplace_back("time", duration_text(o.seconds));
  return out;
}

}  // namespace

std::string checkpoint_path(const TrainingWords& words) { return join_path(words.out, "checkpoint.safetensors"); }
std::string log_path(const TrainingWords& words) {
  return words.log.empty() ? join_path(words.out, "log.jsonl") : words.log;
}

Status check_out_folder(const TrainingWords& words) {
  if (words.out.empty()) return Status(Code::invalid_argument, "--out FOLDER is missing: where the trained model goes");
  const std::string path = checkpoint_path(words);
  if (!is_file(path)) {
    if (words.resume) return error(Code::not_found, "{}: no checkpoint to resume from", path);
    return make_directories(words.out);
  }
  if (words.resume || words.overwrite) return ok_status();
  const auto state = train::read_checkpoint_state(path);
  if (!state.ok()) return ok_status();  // nothing that could be resumed
  const int64_t step = state->value("step", int64_t{0}),
                steps = state->value("settings", Json::object()).value("steps", int64_t{0});
  if (step >= steps) return ok_status();
  return error(Code::invalid_argument,
               "{} holds a run that stopped after {} of {} steps; --resume goes on with it, --overwrite begins anew",
               words.out, step, steps);
}

Result<TrainingOutcome> run_training(const TrainingTask& task) {
  const TrainingWords& words = *task.words;
  train::TrainerOptions options{
      .clip = words.clip,
      .evaluate_every = words.evaluate_every > 0 ? words.evaluate_every : std::max<int64_t>(1, task.plan.steps / 10),
      .checkpoint = checkpoint_path(words),
      .saves = task.first(),
      .checkpoint_every = words.checkpoint_every,
      .most_loss_rise = words.most_rise,
      .settings = task.course,
      .parallel = task.parallel};
  KL_ASSIGN(options.schedule, schedule_of(words, task.plan.steps));
  KL_ASSIGN(const train::OptimizerOptions optimizer, optimizer_of(words));
  KL_ASSIGN(train::Trainer trainer, train::Trainer::create(options, optimizer, task.tensors, *task.objective));
  if (words.resume) KL_TRY(trainer.resume());
  std::optional<Watcher> watcher;
  if (task.first()) {
    KL_TRY(write_file(join_path(words.out, "settings.toml"), task.arguments.settings_text()));
    KL_ASSIGN(watcher, Watcher::create(task, trainer.steps_done()));
  }
  const InterruptScope interrupts;
  const train::TrainerEvents events{
      .step =
          [&](const train::StepRecord& r) {
            if (watcher) watcher->show(r);
            return check_agreement(task, r);
          },
      .checkpoint_failed =
          [](const Status& s) {
            fmt::print(stderr, "\nkinglet: {}; training goes on, and the last good checkpoint stays\n", s.text());
          },
      .interrupted = [&] { return anyone_interrupted(task); }};
  const Status status = trainer.run(events);
  if (status.code() == Code::cancelled) return error(Code::cancelled, "{}; --resume goes on", status.text());
  if (!status.ok()) return status;
  return watcher ? watcher->outcome() : TrainingOutcome{};
}

Status write_report(const TrainingTask& task, const std::string& title, const TrainingOutcome& outcome,
                    std::vector<train::ReportSample> samples) {
  KL_ASSIGN(const std::vector<Json> log, train::read_log(log_path(*task.words)));
  const train::Report report{.title = title,
                             .figures = figures_of(task, outcome),
                             .charts = train::charts_of(log),
                             .samples = std::move(samples),
                             .settings = task.arguments.settings_list()};
  const std::string& path = task.words->report;
  return write_file(path.empty() ? join_path(task.words->out, "report.html") : path, train::html(report));
}

}  // namespace kinglet::cli
