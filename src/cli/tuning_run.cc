#include "cli/tuning_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/answer.h"
#include "cli/load_model.h"
#include "host/error.h"
#include "host/file.h"
#include "hub/resolve.h"
#include "train/lora.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxTemplateBytes = uint64_t{4} << 20;

train::LossOn loss_on(const std::string& word) {
  if (word == "last") return train::LossOn::last_answer;
  return word == "all" ? train::LossOn::everything : train::LossOn::answers;
}

LoraSettings settings_of(const TuningWords& words) {
  return {.rank = words.rank,
          .alpha = words.alpha,
          .rank_stabilized = words.rank_stabilized,
          .dropout = 0,
          .base_name = words.model};
}

/// The first sample as the model will see it, on standard error.
void show_first(const Tokenizer& tokenizer, const train::Dataset& data) {
  const train::Sample first = data.sample(0);
  fmt::print(stderr, "The first sample, {} tokens, of which the {} between « and » count:\n{}\n\n", first.ids.size(),
             train::counted_targets(first), printable(train::masked_text(&tokenizer, first)));
}

Result<train::Dataset> load(const std::vector<std::string>& files, const train::SampleMaker& maker,
                            const TuningWords& words, train::DataGoal goal) {
  train::RowProblems problems(words.strict);
  train::LoadReport report;
  KL_ASSIGN(train::Dataset data, train::load_dataset(files, maker, {.goal = goal, .progress = {}}, problems, report));
  for (const std::string& line : train::describe(report, problems, words.max_length))
    fmt::print(stderr, "{}\n", printable(line));
  return data;
}

}  // namespace

Result<std::unique_ptr<TuningRun>> TuningRun::open(const TuningWords& words, train::DataGoal goal) {
  if (!words.training.plan) KL_TRY(check_out_folder(words.training));
  KL_ASSIGN(const uint64_t memory, memory_limit(words.common));
  auto tuning = std::make_unique<TuningRun>(
      words, words.common.threads > 0 ? words.common.threads : ThreadPool::available(), memory);
  KL_TRY(tuning->open_model());
  KL_TRY(tuning->read_data(goal));
  KL_TRY(tuning->make_graph());
  return tuning;
}

Status TuningRun::open_model() {
  KL_ASSIGN(path, hub::resolve_model(words.model));
  KL_ASSIGN(checkpoint, Checkpoint::open(path));
  KL_ASSIGN(tokenizer, Tokenizer::load(*checkpoint));
  KL_ASSIGN(spec, read_model_spec(*checkpoint));
  const train::LoraOptions options{.rank = words.rank,
                                   .alpha = words.alpha,
                                   .rank_stabilized = words.rank_stabilized,
                                   .targets = words.targets,
                                   .seed = words.training.seed};
  KL_ASSIGN(adapter, train::new_adapter(spec, options));
  return apply_adapter(spec.program, adapter);
}

Status TuningRun::read_data(train::DataGoal goal) {
  ChatSource source = chat_source(*checkpoint);
  if (!words.template_file.empty()) {
    KL_ASSIGN(source.text, read_file(words.template_file, kMaxTemplateBytes));
  }
  const train::SampleOptions options{.loss = loss_on(words.loss),
                                     .max_length = words.max_length,
                                     .vocabulary = static_cast<int32_t>(spec.hyper.V),
                                     .plain_prompts = words.plain,
                                     .special = words.special ? SpecialTokens::parse : SpecialTokens::as_text};
  KL_ASSIGN(const auto maker, train::SampleMaker::create(&*tokenizer, std::move(source), options));
  KL_ASSIGN(training, load(words.data, maker, words, goal));
  show_first(*tokenizer, training);
  if (words.held_out.empty()) return ok_status();
  KL_ASSIGN(held_out, load(words.held_out, maker, words, goal));
  return ok_status();
}

Status TuningRun::make_graph() {
  const bool stored = words.base == "qlora";
  const train::ParameterOptions options{.trained = train::Trained::adapters,
                                        .frozen = stored ? train::FrozenForm::as_stored : train::FrozenForm::f32,
                                        .kernels = nullptr,
                                        .parallel = pool.parallel()};
  KL_ASSIGN(parameters, train::Parameters::load(*checkpoint, spec.program, options, ledger));
  const auto mode =
      words.training.checkpointing == "layers" ? train::Checkpointing::layers : train::Checkpointing::none;
  KL_ASSIGN(graph, train::Graph::create(spec.program, *parameters,
                                        {.parallel = pool.parallel(), .checkpointing = mode, .kernels = {}}, ledger));
  return ok_status();
}

train::DataOrder TuningRun::order(size_t group) const {
  return {
      training,
      {.window = words.max_length, .shuffle = !words.training.no_shuffle, .seed = words.training.seed, .group = group}};
}

Status TuningRun::make_plan(size_t group) {
  const TrainingWords& t = words.training;
  shape = {.batch = {.tokens = 0, .sequences = t.batch}, .batches = t.accumulate};
  KL_ASSIGN(const train::OptimizerOptions optimizer, optimizer_of(t));
  count_parameters(*parameters, optimizer.kind, plan);
  count_data(training, held_out ? &*held_out : nullptr, plan);
  plan.samples /= static_cast<int64_t>(group);
  count_steps(t, order(group), shape, plan);
  const int64_t most = plan.step_tokens / shape.batches;
  plan.activations = graph->activation_bytes(most, most);
  plan.recompute = t.checkpointing == "layers";
  return ok_status();
}

TrainingTask TuningRun::task(const CLI::App& app, train::Objective& objective, Json course) {
  return {.app = &app,
          .words = &words.training,
          .objective = &objective,
          .tensors = train::trained_tensors(*parameters, tensor_options_of(words.training)),
          .course = std::move(course),
          .plan = plan,
          .parallel = pool.parallel()};
}

Result<TrainingOutcome> TuningRun::run(const CLI::App& app, train::Objective& objective, Json course) {
  course.update(course_of(words.training, plan.steps));
  course["data"] = {{"samples", plan.samples}, {"tokens", plan.tokens}};
  course["adapter"] = {{"rank", words.rank}, {"alpha", words.alpha}, {"values", train::adapter_values(adapter)}};
  return run_training(task(app, objective, std::move(course)));
}

Status TuningRun::save(const CLI::App& app, train::Objective& objective, const TrainingOutcome& outcome,
                       const std::string& title) {
  KL_TRY(train::take_adapter(spec.program, *parameters, adapter));
  KL_TRY(write_peft_adapter(words.training.out, adapter, settings_of(words), spec, *checkpoint));
  if (!words.gguf.empty()) KL_TRY(write_gguf_adapter(words.gguf, adapter, settings_of(words), spec, *checkpoint));
  return write_report(task(app, objective, Json::object()), title, outcome, {});
}

void add_tuning(CLI::App& app, TuningWords& w) {
  app.add_option("MODEL", w.model, "a name from `kinglet list`, a GGUF file or a Hugging Face directory")->required();
  app.add_option("DATA", w.data, "rows: .jsonl, .json, .tsv, .txt, each also as .gz or .zst")->required();
  app.add_option("--held-out", w.held_out, "data to measure on, not learned")->allow_extra_args(false);
  app.add_option("--rank", w.rank, "of the adapter")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{65536}));
  app.add_option("--alpha", w.alpha, "strength: alpha / rank")->capture_default_str();
  app.add_flag("--rslora", w.rank_stabilized, "strength alpha / sqrt(rank)");
  app.add_option("--target", w.targets,
                 "a weight to adapt, e.g. q_proj; may be given several times (default: all of the layers)")
      ->allow_extra_args(false);
  app.add_option("--lora-plus", w.training.lora_plus, "learning rate of B over that of A (LoRA+; 16 is usual)")
      ->capture_default_str();
  app.add_option("--max-length", w.max_length, "tokens of a sample; longer rows are cut and counted")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 24));
  app.add_option("--loss", w.loss, "answers, last (only the last answer of a conversation) or all (prompts too)")
      ->capture_default_str()
      ->check(CLI::IsMember({"answers", "last", "all"}));
  app.add_option("--template", w.template_file, "a file with another chat template than the model's own");
  app.add_flag("--plain", w.plain,
               "prompts and answers as they stand, without the chat template (as `run --raw` asks)");
  app.add_flag("--special", w.special, "special tokens in texts and plain prompts are tokens, not text");
  app.add_flag("--strict", w.strict, "stop at the first malformed row");
  app.add_option("--gguf", w.gguf, "write the adapter as this GGUF file too");
  w.training.rate = 2e-4;
  w.training.weight_decay = 0;
  add_training(app, w.training);
  add_common(app, w.common);
}

}  // namespace kinglet::cli
