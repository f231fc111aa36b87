// kinglet align MODEL DATA: an adapter that learns which answers are wanted.
#include <fmt/format.h>

#include <memory>

#include "cli/tuning_run.h"
#include "host/error.h"
#include "train/preference.h"

namespace kinglet::cli {
namespace {

struct Words {
  TuningWords tuning;
  std::string method = "dpo";
  double beta = -1, gamma = 1;
};

train::PreferenceOptions options_of(const Words& words) {
  train::PreferenceOptions options{.method = *train::preference_method(words.method), .gamma = words.gamma};
  options.beta = words.beta > 0 ? words.beta : options.method == train::PreferenceMethod::simpo ? 2.0 : 0.1;
  return options;
}

Json figures_of(const train::PreferenceScore& score) {
  return {
      {"loss", score.loss}, {"accuracy", score.accuracy}, {"margin", score.margin}, {"comparisons", score.comparisons}};
}

Status align(const CLI::App& app, const Words& words) {
  const train::PreferenceOptions options = options_of(words);
  const bool pairs = options.method != train::PreferenceMethod::kto;
  const size_t group = pairs ? 2 : 1;
  KL_ASSIGN(const std::unique_ptr<TuningRun> tuning,
            TuningRun::open(words.tuning, pairs ? train::DataGoal::preferences : train::DataGoal::labelled));
  KL_TRY(tuning->make_plan(group));
  print_plan(words.tuning.common, words.tuning.training, tuning->plan);
  if (words.tuning.training.plan) return ok_status();
  // Before the first step the adapter adds nothing: the model is its own reference.
  KL_ASSIGN(const auto training,
            train::PreferenceData::create(tuning->training, options, *tuning->graph, tuning->shape.batch));
  std::optional<train::PreferenceData> held_out;
  if (tuning->held_out) {
    KL_ASSIGN(held_out, train::PreferenceData::create(*tuning->held_out, options, *tuning->graph, tuning->shape.batch));
  }
  train::PreferenceTraining objective(*tuning->graph, training, held_out ? &*held_out : nullptr, tuning->order(group),
                                      tuning->shape, options);
  KL_ASSIGN(const TrainingOutcome outcome,
            tuning->run(app, objective, {{"method", words.method}, {"beta", options.beta}, {"gamma", options.gamma}}));
  KL_TRY(tuning->save(app, objective, outcome, fmt::format("kinglet align {}", words.tuning.model)));
  KL_ASSIGN(const train::PreferenceScore score, objective.score(held_out ? *held_out : training));
  if (words.tuning.common.json) {
    fmt::print("{}\n", Json{{"out", words.tuning.training.out},
                            {"steps", tuning->plan.steps},
                            {"first_loss", outcome.first_loss},
                            {"loss", outcome.last_loss},
                            {held_out ? "held_out" : "training", figures_of(score)}}
                           .dump());
    return ok_status();
  }
  fmt::print(
      "{}: {} steps, loss {:.4f} -> {:.4f}; on {} the wanted answer has the greater reward in {:.1f}% of {}, by {:.3f} "
      "on average\n",
      words.tuning.training.out, tuning->plan.steps, outcome.first_loss, outcome.last_loss,
      held_out ? "held-out data" : "the training data", 100 * score.accuracy, score.comparisons, score.margin);
  return ok_status();
}

}  // namespace

Action setup_align(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("--method", words->method, "dpo, ipo, simpo, orpo or kto")
      ->capture_default_str()
      ->check(CLI::IsMember({"dpo", "ipo", "simpo", "orpo", "kto"}));
  app.add_option("--base", words->tuning.base, "frozen weights: lora (as f32) or qlora (as the file has them)")
      ->capture_default_str()
      ->check(CLI::IsMember({"lora", "qlora"}));
  app.add_option("--beta", words->beta, "how far to go from the reference (default: 0.1; simpo 2)");
  app.add_option("--gamma", words->gamma, "simpo: the margin that is wanted")->capture_default_str();
  add_tuning(app, words->tuning);
  words->tuning.training.rate = 5e-5;
  app.footer(
      "Rows are prompt, chosen, rejected; of kto also prompt, completion, label.\n\n"
      "Example:\n"
      "  kinglet align qwen2.5-coder-0.5b pairs.jsonl --held-out test.jsonl --method dpo --out ./aligned");
  return [words, &app] {
    KL_TRY(apply_config(app, words->tuning.training.config));
    return align(app, *words);
  };
}

}  // namespace kinglet::cli
