#include "cli/tuning_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/answer.h"
#include "cli/configuration.h"
#include "cli/load_model.h"
#include "convert/convert.h"
#include "convert/gguf_header.h"
#include "convert/presets.h"
#include "formats/hf_directory.h"
#include "host/error.h"
#include "host/file.h"
#include "hub/resolve.h"
#include "train/lora.h"
#include "train/save_model.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxTemplateBytes = uint64_t{4} << 20;

train::LossOn loss_on(const std::string& word) {
  if (word == "last") return train::LossOn::last_answer;
  return word == "all" ? train::LossOn::everything : train::LossOn::answers;
}

train::FrozenForm frozen_form(const TuningWords& words) {
  if (words.base_type == "nf4") return train::FrozenForm::nf4;
  const bool f32 = words.base_type == "f32" || (words.base_type == "auto" && words.base != "qlora");
  return f32 ? train::FrozenForm::f32 : train::FrozenForm::as_stored;
}

/// Errors: for a type that the frozen weights of this model cannot have.
Status check_base_type(const TuningWords& words, const Checkpoint& checkpoint, const ModelSpec& spec, bool weightless) {
  const std::string& type = words.base_type;
  const bool form = type == "auto" || type == "f32" || type == "stored" || type == "nf4";
  if (!form && !(weightless && dtype_from_name(type)))
    return error(Code::invalid_argument,
                 "--base-type is auto, f32, stored or nf4 (and with --plan of a shape a type of GGUF's), not '{}'",
                 type);
  if (type != "auto" && words.base == "full")
    return Status(Code::invalid_argument, "--base-type is of frozen weights, and --method full has none");
  if (type != "nf4" || weightless) return ok_status();
  for (const ParamInfo& p : spec.program.params) {
    if (p.kind != ParamKind::linear || p.layer == kNone) continue;
    KL_ASSIGN(const TensorView tensor, find_param(checkpoint, p));
    if (is_quantized(tensor.dtype))
      return error(Code::invalid_argument,
                   "--base-type nf4 quantizes f32, f16 and bf16 weights, and those of {} are {}: leave it out",
                   words.model, name(tensor.dtype));
  }
  return ok_status();
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

Result<train::Dataset> read_rows(const std::vector<std::string>& files, const train::SampleMaker& maker,
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
  if (words.base == "dora" && !words.gguf.empty())
    return Status(Code::unsupported,
                  "--gguf: a GGUF adapter cannot hold DoRA's magnitudes; `kinglet merge` makes a whole model of it");
  KL_ASSIGN(const uint64_t memory, memory_limit(words.common));
  auto tuning = std::make_unique<TuningRun>(
      words, words.common.threads > 0 ? words.common.threads : ThreadPool::available(), memory);
  KL_TRY(tuning->open_model());
  if (!words.teacher.models.empty()) {
    KL_ASSIGN(tuning->teacher,
              Teacher::open(words.teacher, tuning->spec, tuning->tokenizer ? &*tuning->tokenizer : nullptr));
  }
  if (words.data.empty() && words.training.plan) return tuning;
  KL_TRY(tuning->read_data(goal));
  return tuning;
}

/// The model, or for --plan its shape alone.
Status TuningRun::open_checkpoint() {
  const auto found = hub::resolve_model(words.model);
  const bool is_shape = words.model.ends_with(".json") || (!found.ok() && convert::find_preset(words.model).ok());
  if (words.training.plan && is_shape) {
    KL_ASSIGN(checkpoint, open_configuration(words.model, {}));
  } else {
    KL_TRY(found.status());
    path = *found;
    KL_ASSIGN(checkpoint, Checkpoint::open(path));
  }
  const HfDirectory* hf = checkpoint->hf();
  weightless = hf != nullptr && !hf->weights;
  if (weightless && !words.training.plan) return error(Code::not_found, "{}: no weights", words.model);
  return ok_status();
}

Status TuningRun::open_model() {
  KL_TRY(open_checkpoint());
  const HfDirectory* hf = checkpoint->hf();
  if (hf == nullptr || !hf->tokenizer.is_null() || !hf->sentencepiece.empty() || !words.training.plan) {
    KL_ASSIGN(tokenizer, Tokenizer::load(*checkpoint));
  }
  KL_ASSIGN(spec, read_model_spec(*checkpoint));
  KL_TRY(check_base_type(words, *checkpoint, spec, weightless));
  if (!has_adapter()) return ok_status();
  const train::LoraOptions options{.rank = words.rank,
                                   .alpha = words.alpha,
                                   .rank_stabilized = words.rank_stabilized,
                                   .targets = words.targets,
                                   .seed = words.training.seed};
  KL_ASSIGN(adapter, train::new_adapter(spec, options));
  if (words.base == "dora") {
    if (weightless)
      for (LoraPair& pair : adapter.pairs) pair.magnitude.assign(pair.b.size() / static_cast<size_t>(pair.R), 1.0f);
    else KL_TRY(train::begin_magnitudes(adapter, spec, *checkpoint));
  }
  return apply_adapter(spec.program, adapter, AdapterUse::train);
}

Status TuningRun::read_data(train::DataGoal goal) {
  if (words.data.empty()) return Status(Code::invalid_argument, "no DATA: rows to learn from");
  ChatSource source = chat_source(*checkpoint);
  if (!words.template_file.empty()) {
    KL_ASSIGN(source.text, read_file(words.template_file, kMaxTemplateBytes));
  }
  const train::SampleOptions options{.loss = loss_on(words.loss),
                                     .max_length = words.max_length,
                                     .vocabulary = static_cast<int32_t>(spec.hyper.V),
                                     .plain_prompts = words.plain,
                                     .special = words.special ? SpecialTokens::parse : SpecialTokens::as_text};
  KL_ASSIGN(const auto maker,
            train::SampleMaker::create(tokenizer ? &*tokenizer : nullptr, std::move(source), options));
  KL_ASSIGN(training, read_rows(words.data, maker, words, goal));
  if (tokenizer) show_first(*tokenizer, training);
  if (words.held_out.empty()) return ok_status();
  KL_ASSIGN(held_out, read_rows(words.held_out, maker, words, goal));
  return ok_status();
}

PlannedModel TuningRun::planned() {
  PlannedModel model{.program = &spec.program,
                     .parameters = {.trained = has_adapter() ? train::Trained::adapters : train::Trained::all,
                                    .frozen = frozen_form(words),
                                    .kernels = nullptr,
                                    .parallel = pool.parallel()},
                     .stored = train::stored_in(*checkpoint),
                     .sequence = words.max_length,
                     .compute = compute_of(words.training),
                     .dropout = words.training.dropout};
  if (weightless) {  // as `kinglet synth` would make it
    const auto type = words.base_type == "nf4" ? DType::bf16 : dtype_from_name(words.base_type).value_or(DType::q4_k);
    model.stored = [type](const ParamInfo& p) -> Result<DType> { return convert::stored_type(p, type); };
  }
  if (plan.samples > 0) model.sequence = plan.tokens / static_cast<int64_t>(training.size());
  return model;
}

Status TuningRun::load() {
  KL_ASSIGN(parameters, train::Parameters::load(*checkpoint, spec.program, planned().parameters, ledger));
  KL_TRY(ledger.reserve(MemoryUse::other, plan.optimizer));
  if (teacher) KL_TRY(teacher->load(pool.parallel(), compute_of(words.training), ledger));
  KL_ASSIGN(graph, planned_graph(planned(), *parameters, plan, ledger));
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
  if (training.size() > 0) {
    count_data(training, held_out ? &*held_out : nullptr, plan);
    plan.samples /= static_cast<int64_t>(group);
    count_steps(t, order(group), shape, plan);
  } else {
    assume_steps(t, words.max_length * static_cast<int64_t>(group), shape, plan);
  }
  if (teacher) KL_TRY(teacher->count(pool.parallel(), plan.step_tokens / shape.batches, plan));
  const PlannedModel model = planned();
  KL_TRY(plan_memory(model, t, shape, ledger.limit(), plan));
  KL_TRY(plan_time(model, shape, plan));
  print_plan(words.common, t, plan);
  return check_memory(plan, ledger.limit());
}

TrainingTask TuningRun::task(const Arguments& arguments, train::Objective& objective, Json course) {
  return {.arguments = arguments,
          .words = &words.training,
          .objective = &objective,
          .tensors = train::trained_tensors(*parameters, tensor_options_of(words.training)),
          .course = std::move(course),
          .plan = plan,
          .parallel = pool.parallel()};
}

Result<TrainingOutcome> TuningRun::run(const Arguments& arguments, train::Objective& objective, Json course) {
  course.update(course_of(words.training, plan.steps));
  course["data"] = {{"samples", plan.samples}, {"tokens", plan.tokens}};
  if (words.base_type != "auto") course["base_type"] = words.base_type;
  if (has_adapter())
    course["adapter"] = {{"rank", words.rank}, {"alpha", words.alpha}, {"values", train::adapter_values(adapter)}};
  return run_training(task(arguments, objective, std::move(course)));
}

Status TuningRun::save_adapter() {
  KL_TRY(train::take_adapter(spec.program, *parameters, adapter));
  KL_TRY(write_peft_adapter(words.training.out, adapter, settings_of(words), spec, *checkpoint));
  if (words.gguf.empty()) return ok_status();
  return write_gguf_adapter(words.gguf, adapter, settings_of(words), spec, *checkpoint);
}

/// A Hugging Face directory becomes one, and a GGUF becomes one, in f32.
Status TuningRun::save_whole_model() {
  const std::string& out = words.training.out;
  if (checkpoint->hf() != nullptr) {
    KL_TRY(train::save_model(*parameters, *checkpoint, path, out));
    if (words.gguf.empty()) return ok_status();
    KL_ASSIGN(const Checkpoint written, Checkpoint::open(out));
    return convert::to_gguf(written, words.gguf, {}).status();
  }
  convert::ConvertOptions options{.type = DType::f32};
  options.replaced = [this](const ParamInfo& param) -> std::optional<TensorView> {
    for (const train::Parameter& p : parameters->all())
      if (p.name == param.hf) return TensorView{DType::f32, p.shape, std::as_bytes(p.values)};
    return std::nullopt;
  };
  return convert::to_gguf(*checkpoint, words.gguf.empty() ? join_path(out, "model.gguf") : words.gguf, options)
      .status();
}

Status TuningRun::save(const Arguments& arguments, train::Objective& objective, const TrainingOutcome& outcome,
                       const std::string& title) {
  KL_TRY(has_adapter() ? save_adapter() : save_whole_model());
  return write_report(task(arguments, objective, Json::object()), title, outcome, {});
}

void add_tuning(Arguments arguments, TuningWords& w) {
  arguments.option("MODEL", w.model, "a name from `kinglet list`, a GGUF file or a Hugging Face directory").required();
  arguments.option("DATA", w.data, "rows: .jsonl, .json, .tsv, .txt, each also as .gz or .zst");
  arguments.option("--held-out", w.held_out, "data to measure on, not learned").repeated();
  arguments
      .option(
          "--base-type", w.base_type,
          "how frozen weights are held: f32, stored (as the file has them), nf4 (QLoRA's four bits, made of f32, f16 "
          "or bf16 weights), or auto: stored with qlora, else f32")
      .show_default();
  arguments.option("--rank", w.rank, "of the adapter").show_default().range(int64_t{1}, int64_t{65536});
  arguments.option("--alpha", w.alpha, "strength: alpha / rank").show_default();
  arguments.flag("--rslora", w.rank_stabilized, "strength alpha / sqrt(rank)");
  arguments
      .option("--target", w.targets,
              "a weight to adapt, e.g. q_proj; may be given several times (default: all of the layers)")
      .repeated();
  arguments.option("--lora-plus", w.training.lora_plus, "learning rate of B over that of A (LoRA+; 16 is usual)")
      .show_default();
  arguments.option("--max-length", w.max_length, "tokens of a sample; longer rows are cut and counted")
      .show_default()
      .range(int64_t{2}, int64_t{1} << 24);
  arguments.option("--loss", w.loss, "answers, last (only the last answer of a conversation) or all (prompts too)")
      .show_default()
      .one_of({"answers", "last", "all"});
  arguments.option("--template", w.template_file, "a file with another chat template than the model's own");
  arguments.flag("--plain", w.plain,
                 "prompts and answers as they stand, without the chat template (as `run --raw` asks)");
  arguments.flag("--special", w.special, "special tokens in texts and plain prompts are tokens, not text");
  arguments.flag("--strict", w.strict, "stop at the first malformed row");
  arguments.option("--gguf", w.gguf, "write what was learned as this GGUF file too");
  w.training.rate = 2e-4;
  w.training.weight_decay = 0;
  add_training(arguments, w.training);
  add_common(arguments, w.common);
}

}  // namespace kinglet::cli
