// kinglet tune MODEL DATA: an adapter, or the whole model, learns answers.
#include <fmt/format.h>

#include <memory>

#include "cli/tuning_run.h"
#include "formats/json.h"
#include "host/error.h"

namespace kinglet::cli {
namespace {

Status tune(const Arguments& arguments, const TuningWords& words) {
  KL_ASSIGN(const std::unique_ptr<TuningRun> tuning, TuningRun::open(words, train::DataGoal::samples));
  KL_TRY(tuning->make_plan(1));
  if (words.training.plan) return ok_status();
  KL_TRY(tuning->load());
  train::LanguageModeling objective(
      tuning->teacher ? tuning->teacher->passes(*tuning->graph) : train::passes_of(*tuning->graph), tuning->order(1),
      tuning->shape);
  if (tuning->held_out)
    objective.hold_out({*tuning->held_out, {.window = words.max_length, .shuffle = false, .seed = 0, .group = 1}});
  Json course{{"method", words.base}};
  if (tuning->teacher) course["teacher"] = tuning->teacher->course();
  KL_ASSIGN(const TrainingOutcome outcome, tuning->run(arguments, objective, std::move(course)));
  KL_TRY(tuning->save(arguments, objective, outcome, fmt::format("kinglet tune {}", words.model)));
  if (words.common.json) {
    Json json{{"out", words.training.out}, {"steps", tuning->plan.steps}, {"first_loss", outcome.first_loss},
              {"loss", outcome.last_loss}, {"tokens", outcome.tokens},    {"seconds", outcome.seconds}};
    if (outcome.held_out) json["held_out_loss"] = *outcome.held_out;
    fmt::print("{}\n", to_text(json));
    return ok_status();
  }
  fmt::print("{}: {} steps, loss {:.4f} -> {:.4f}{}, {:.0f} tokens/s\n", words.training.out, tuning->plan.steps,
             outcome.first_loss, outcome.last_loss,
             outcome.held_out ? fmt::format(", held out {:.4f}", *outcome.held_out) : "",
             outcome.seconds > 0 ? static_cast<double>(outcome.tokens) / outcome.seconds : 0.0);
  return ok_status();
}

}  // namespace

Action setup_tune(Arguments arguments) {
  auto words = std::make_shared<TuningWords>();
  arguments
      .option("--method", words->base,
              "lora, dora (lora with a magnitude for each row), qlora (lora beside weights as the file has them), or "
              "full: every weight is trained, and a whole model written (--lr 2e-5 is usual)")
      .show_default()
      .one_of({"full", "lora", "qlora", "dora"});
  add_tuning(arguments, *words);
  add_dropout(arguments, words->training);
  add_teacher(arguments, words->teacher);
  arguments.footer(
      "Examples:\n"
      "  kinglet tune qwen2.5-coder-0.5b chats.jsonl --method qlora --epochs 2 --out ./tuned\n"
      "  kinglet run qwen2.5-coder-0.5b --adapter ./tuned \"Hello\"\n"
      "  kinglet tune phi-4 --method qlora --max-length 512 --batch 1 --plan     (a published shape: what it would "
      "take)");
  return [words, arguments]() mutable {
    KL_TRY(arguments.read_settings(words->training.config));
    return tune(arguments, *words);
  };
}

}  // namespace kinglet::cli
