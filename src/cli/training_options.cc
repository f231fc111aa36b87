#include "cli/training_options.h"

#include <algorithm>

#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::cli {
namespace {

void add_batches(CLI::App& app, TrainingWords& w) {
  constexpr char kGroup[] = "Batches";
  app.add_option("--batch", w.batch, "sequences of --seq tokens in a batch")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--accumulate", w.accumulate, "batches in a step")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--seq", w.sequence,
                 "tokens that texts are cut to; 0: what the model was made for, at most 512 (rows of ids: the longest)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->group(kGroup)
      ->capture_default_str();
  app.add_flag("--no-pack", w.no_pack,
               "a batch is --batch sequences, however short, in place of as many as fill its tokens")
      ->group(kGroup);
  app.add_flag("--no-shuffle", w.no_shuffle, "take the data in their own order")->group(kGroup);
  app.add_option("--seed", w.seed, "of the order of the data and of random weights")
      ->group(kGroup)
      ->capture_default_str();
}

void add_optimization(CLI::App& app, TrainingWords& w) {
  constexpr char kGroup[] = "Optimization";
  app.add_option("--steps", w.steps, "steps of the run; 0: as many as --epochs take")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--epochs", w.epochs, "times that the data are gone through")
      ->check(CLI::Range(0.0, 1e9))
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--lr", w.rate, "highest learning rate")->group(kGroup)->capture_default_str();
  app.add_option("--min-lr", w.least_rate, "learning rate at the end")->group(kGroup)->capture_default_str();
  app.add_option("--schedule", w.schedule, "learning rate over the run")
      ->check(CLI::IsMember({"constant", "cosine", "linear", "wsd"}))
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--warmup", w.warmup,
                 "steps of warmup; -1: a twentieth of the run, none where the schedule is constant")
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--decay-steps", w.decay_steps, "last steps in which wsd falls; -1: a fifth of the run")
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--optimizer", w.optimizer, "adamw, or one of less memory")
      ->check(CLI::IsMember({"adamw", "adamw8", "lion", "adafactor"}))
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--betas", w.betas, "moving averages of adamw and lion")
      ->delimiter(',')
      ->expected(2)
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--eps", w.eps, "of adamw")->group(kGroup)->capture_default_str();
  app.add_option("--weight-decay", w.weight_decay, "decoupled, of matrices")
      ->check(CLI::NonNegativeNumber)
      ->group(kGroup)
      ->capture_default_str();
  app.add_flag("--decay-all", w.decay_all, "decay norms and biases too")->group(kGroup);
  app.add_option("--clip", w.clip, "largest norm of all gradients together; 0: no clipping")
      ->check(CLI::NonNegativeNumber)
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--max-loss-rise", w.most_rise,
                 "stop when the loss is this many nats above its lowest, on average over some steps")
      ->check(CLI::PositiveNumber)
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--checkpointing", w.checkpointing,
                 "keep only what layers begin with, and compute the rest twice: none, layers, or auto by memory")
      ->check(CLI::IsMember({"none", "layers", "auto"}))
      ->group(kGroup)
      ->capture_default_str();
}

void add_output(CLI::App& app, TrainingWords& w) {
  constexpr char kGroup[] = "Output";
  app.add_option("--out", w.out, "folder of the trained model, its checkpoint, log and report")->group(kGroup);
  app.add_option("--log", w.log, "JSON lines, one a step (default: log.jsonl in the out folder)")->group(kGroup);
  app.add_option("--tensorboard", w.tensorboard, "write TensorBoard event files into this folder")->group(kGroup);
  app.add_option("--report", w.report, "HTML page of the run (default: report.html in the out folder)")->group(kGroup);
  app.add_option("--prompt", w.prompts,
                 "text that samples before and after begin with (may be given again; default: one from the data)")
      ->allow_extra_args(false)
      ->group(kGroup);
  app.add_option("--eval-every", w.evaluate_every, "steps between evaluations on held-out data; 0: ten times in a run")
      ->check(CLI::NonNegativeNumber)
      ->group(kGroup)
      ->capture_default_str();
  app.add_option("--checkpoint-every", w.checkpoint_every, "steps between checkpoints; 0: only when interrupted")
      ->check(CLI::NonNegativeNumber)
      ->group(kGroup)
      ->capture_default_str();
  app.add_flag("--resume", w.resume, "go on where the out folder's checkpoint stopped")
      ->configurable(false)
      ->group(kGroup);
  app.add_flag("--overwrite", w.overwrite, "begin anew though the out folder holds an unfinished run")
      ->configurable(false)
      ->group(kGroup);
  app.add_flag("--plan", w.plan, "print what the run would take, and stop")->configurable(false)->group(kGroup);
  app.add_option("--config", w.config,
                 "TOML file of settings, as a run writes into its out folder; the command line comes first")
      ->configurable(false)
      ->group(kGroup);
}

/// Options that a settings file holds, by the name they have there.
std::vector<std::pair<std::string, const CLI::Option*>> configurable(const CLI::App& app) {
  std::vector<std::pair<std::string, const CLI::Option*>> out;
  for (const CLI::Option* option : app.get_options())
    if (option->get_configurable() && !option->get_single_name().empty() && option->get_single_name() != "help")
      out.emplace_back(option->get_single_name(), option);
  return out;
}

}  // namespace

void add_training(CLI::App& app, TrainingWords& words) {
  add_batches(app, words);
  add_optimization(app, words);
  add_output(app, words);
}

Status apply_config(CLI::App& app, const std::string& path) {
  if (path.empty()) return ok_status();
  if (!is_file(path)) return error(Code::not_found, "{}: no such file", path);
  try {
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(path)) {
      CLI::Option* option = item.parents.empty() ? app.get_option_no_throw("--" + item.name) : nullptr;
      if (option == nullptr && item.parents.empty()) option = app.get_option_no_throw(item.name);
      if (option == nullptr || !option->get_configurable())
        return error(Code::invalid_argument, "{}: there is no setting '{}'", path, item.fullname());
      const bool unset =
          std::all_of(item.inputs.begin(), item.inputs.end(), [](const std::string& s) { return s.empty(); });
      if (!option->empty() || unset) continue;  // the command line comes first; "" is how a file says nothing
      if (option->get_expected_min() == 0) {
        option->add_result(option->get_flag_value(item.name, CLI::ConfigTOML().to_flag(item)));
      } else {
        option->add_result(item.inputs);
      }
      option->run_callback();
    }
  } catch (const CLI::Error& e) {
    return error(Code::corrupt, "{}: {}", path, e.what());
  }
  return ok_status();
}

std::string settings_text(const CLI::App& app) { return app.config_to_str(true, false); }

std::vector<std::pair<std::string, std::string>> settings_list(const CLI::App& app) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, option] : configurable(app)) {
    const std::string value =
        option->empty() ? option->get_default_str() : fmt::format("{}", fmt::join(option->results(), ", "));
    if (!value.empty()) out.emplace_back(name, value);
  }
  return out;
}

Result<train::Schedule> schedule_of(const TrainingWords& w, int64_t steps) {
  const auto kind = train::schedule_from_name(w.schedule);
  if (!kind) return error(Code::invalid_argument, "no schedule '{}'", w.schedule);
  const int64_t warmup = w.warmup >= 0 ? w.warmup : *kind == train::ScheduleKind::constant ? 0 : steps / 20;
  const int64_t decay = w.decay_steps >= 0 ? w.decay_steps : steps / 5;
  const train::Schedule schedule{
      .kind = *kind, .peak = w.rate, .floor = w.least_rate, .total = steps, .warmup = warmup, .decay = decay};
  KL_TRY(schedule.check());
  return schedule;
}

Result<train::OptimizerOptions> optimizer_of(const TrainingWords& w) {
  const auto kind = train::optimizer_from_name(w.optimizer);
  if (!kind || w.betas.size() != 2)
    return error(Code::invalid_argument, "no optimizer '{}' with {} betas", w.optimizer, w.betas.size());
  return train::OptimizerOptions{.kind = *kind, .beta1 = w.betas[0], .beta2 = w.betas[1], .eps = w.eps};
}

train::TrainedTensorOptions tensor_options_of(const TrainingWords& w) {
  return {.weight_decay = w.weight_decay, .decay_all = w.decay_all, .lora_plus_ratio = w.lora_plus};
}

Json course_of(const TrainingWords& w, int64_t steps) {
  return {{"steps", steps},
          {"batch", w.batch},
          {"accumulate", w.accumulate},
          {"seq", w.sequence},
          {"no-pack", w.no_pack},
          {"no-shuffle", w.no_shuffle},
          {"seed", w.seed},
          {"lr", w.rate},
          {"min-lr", w.least_rate},
          {"schedule", w.schedule},
          {"warmup", w.warmup},
          {"decay-steps", w.decay_steps},
          {"optimizer", w.optimizer},
          {"betas", w.betas},
          {"eps", w.eps},
          {"weight-decay", w.weight_decay},
          {"decay-all", w.decay_all},
          {"clip", w.clip},
          {"lora-plus", w.lora_plus}};
}

}  // namespace kinglet::cli
