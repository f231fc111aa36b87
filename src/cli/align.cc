// kinglet align MODEL DATA: an adapter that learns which answers are wanted.
#include <fmt/format.h>

#include <memory>

#include "cli/tuning_run.h"
#include "formats/json.h"
#include "host/error.h"
#include "hub/home.h"
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

/// Of the model, of how its weights are held and multiplied and of the kernels: they round alike.
Result<train::ReferenceCache> reference_cache(const TuningRun& tuning, const TuningWords& words,
                                              const train::PreferenceOptions& options) {
  const auto home = hub::home_directory();
  if (!home.ok() || !train::needs_reference(options.method)) return train::ReferenceCache("", "");
  KL_ASSIGN(const ModelSpec bare, read_model_spec(*tuning.checkpoint));  // without the adapter, whatever its rank
  KL_ASSIGN(const std::string model, train::model_key(*tuning.checkpoint, bare));
  return train::ReferenceCache((*home / "references").string(),
                               fmt::format("{} {} {} {} {}", model, words.base, words.base_type, words.training.compute,
                                           find_kernels("")->name));
}

Status align(const Arguments& arguments, const Words& words) {
  const train::PreferenceOptions options = options_of(words);
  const bool pairs = options.method != train::PreferenceMethod::kto;
  const size_t group = pairs ? 2 : 1;
  KL_ASSIGN(const std::unique_ptr<TuningRun> tuning,
            TuningRun::open(words.tuning, pairs ? train::DataGoal::preferences : train::DataGoal::labelled));
  KL_TRY(tuning->make_plan(group));
  if (words.tuning.training.plan) return ok_status();
  KL_TRY(tuning->load());
  KL_ASSIGN(train::ReferenceCache cache, reference_cache(*tuning, words.tuning, options));
  // Before the first step the adapter adds nothing: the model is its own reference.
  const train::AnswerScorer reference = [&](const train::Dataset& data) {
    return cache.log_probs(data, [&](const train::Dataset& unknown) {
      return train::answer_log_probs(*tuning->graph, unknown, tuning->shape.batch);
    });
  };
  KL_ASSIGN(const auto training, train::PreferenceData::create(tuning->training, options, reference));
  std::optional<train::PreferenceData> held_out;
  if (tuning->held_out) {
    KL_ASSIGN(held_out, train::PreferenceData::create(*tuning->held_out, options, reference));
  }
  if (cache.found() > 0)
    fmt::print(stderr, "kinglet align: the reference's {} log probabilities are those of an earlier run\n",
               cache.found());
  train::PreferenceTraining objective(*tuning->graph, training, held_out ? &*held_out : nullptr, tuning->order(group),
                                      tuning->shape, options);
  KL_ASSIGN(
      const TrainingOutcome outcome,
      tuning->run(arguments, objective, {{"method", words.method}, {"beta", options.beta}, {"gamma", options.gamma}}));
  KL_TRY(tuning->save(arguments, objective, outcome, fmt::format("kinglet align {}", words.tuning.model)));
  KL_ASSIGN(const train::PreferenceScore score, objective.score(held_out ? *held_out : training));
  if (words.tuning.common.json) {
    fmt::print("{}\n", to_text(Json{{"out", words.tuning.training.out},
                                    {"steps", tuning->plan.steps},
                                    {"first_loss", outcome.first_loss},
                                    {"loss", outcome.last_loss},
                                    {held_out ? "held_out" : "training", figures_of(score)}}));
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

Action setup_align(Arguments arguments) {
  auto words = std::make_shared<Words>();
  arguments.option("--method", words->method, "dpo, ipo, simpo, orpo or kto")
      .show_default()
      .one_of({"dpo", "ipo", "simpo", "orpo", "kto"});
  arguments
      .option("--base", words->tuning.base,
              "what is trained: a lora or dora adapter, a lora beside weights as the file has them (qlora), or "
              "the full model")
      .show_default()
      .one_of({"full", "lora", "qlora", "dora"});
  arguments.option("--beta", words->beta, "how far to go from the reference (default: 0.1; simpo 2)");
  arguments.option("--gamma", words->gamma, "simpo: the margin that is wanted").show_default();
  add_tuning(arguments, words->tuning);
  words->tuning.training.rate = 5e-5;
  arguments.footer(
      "Rows are prompt, chosen, rejected; of kto also prompt, completion, label.\n\n"
      "Example:\n"
      "  kinglet align qwen2.5-coder-0.5b pairs.jsonl --held-out test.jsonl --method dpo --out ./aligned");
  return [words, arguments]() mutable {
    KL_TRY(arguments.read_settings(words->tuning.training.config));
    return align(arguments, *words);
  };
}

}  // namespace kinglet::cli
