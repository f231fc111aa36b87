#include "cli/training_plan.h"

#include <algorithm>

#include "formats/json.h"
#include "host/error.h"
#include "host/ledger.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kProgramBytes = uint64_t{24} << 20;  // code, libraries, stacks
constexpr int64_t kAssumedSteps = 1000;

const char* computed_twice(train::Checkpointing checkpointing) {
  if (checkpointing == train::Checkpointing::layers) return " (layers computed twice)";
  return checkpointing == train::Checkpointing::activations ? " (norms and gated ones computed twice)" : "";
}

std::string memory_text(const TrainingPlan& p) {
  return fmt::format("{}: weights {}, gradients {}, optimizer {}, activations {}{}, data {}{}", format_bytes(p.bytes()),
                     format_bytes(p.weights), format_bytes(p.gradients), format_bytes(p.optimizer),
                     format_bytes(p.activations), computed_twice(p.checkpointing), format_bytes(p.data),
                     p.teacher > 0 ? fmt::format(", teacher {}", format_bytes(p.teacher)) : "");
}

}  // namespace

std::string duration_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} seconds", seconds);
  if (seconds < 5400) return fmt::format("{:.0f} minutes", seconds / 60);
  return fmt::format("{:.1f} hours", seconds / 3600);
}

uint64_t TrainingPlan::bytes() const {
  return weights + gradients + optimizer + activations + data + teacher + kProgramBytes;
}

Json to_json(const TrainingPlan& p) {
  Json out{{"parameters", p.parameters},
           {"trained", p.trained},
           {"samples", p.samples},
           {"tokens", p.tokens},
           {"held_out_tokens", p.held_out_tokens},
           {"steps", p.steps},
           {"tokens_per_step", p.step_tokens},
           {"bytes",
            {{"weights", p.weights},
             {"gradients", p.gradients},
             {"optimizer", p.optimizer},
             {"activations", p.activations},
             {"data", p.data},
             {"peak", p.bytes()}}},
           {"checkpointing", name(p.checkpointing)}};
  if (p.teacher > 0) out["bytes"]["teacher"] = p.teacher;
  if (p.seconds) out["hours"] = *p.seconds / 3600;
  return out;
}

std::string text_of(const TrainingPlan& p) {
  std::string out = fmt::format("model   {} parameters, {} of them trained\n", p.parameters, p.trained);
  if (p.samples > 0)
    out += fmt::format("data    {} tokens in {} samples{}\n", p.tokens, p.samples,
                       p.held_out_tokens > 0 ? fmt::format(", {} tokens held out", p.held_out_tokens) : "");
  else out += "data    none given: every step is taken to be whole\n";
  out += fmt::format("run     {} steps of at most {} tokens\n", p.steps, p.step_tokens);
  out += fmt::format("memory  {}\n", memory_text(p));
  if (p.seconds) out += fmt::format("time    about {}, by {}\n", duration_text(*p.seconds), p.seconds_by);
  return out;
}

void count_data(const train::Dataset& training, const train::Dataset* held_out, TrainingPlan& plan) {
  plan.samples = static_cast<int64_t>(training.size());
  plan.tokens = training.tokens();
  plan.held_out_tokens = held_out != nullptr ? held_out->tokens() : 0;
  plan.data = static_cast<uint64_t>(plan.tokens + plan.held_out_tokens) * 8;
}

void count_steps(const TrainingWords& words, train::DataOrder order, const train::StepShape& shape,
                 TrainingPlan& plan) {
  const auto epochs = [&] { return words.epochs * static_cast<double>(train::steps_of_epoch(order, 0, shape)); };
  plan.steps = words.steps > 0 ? words.steps : std::max<int64_t>(1, static_cast<int64_t>(epochs() + 0.5));
  plan.batches = plan.steps * shape.batches;
  int64_t most = 0, sum = 0, batches = 0;
  for (train::DataCursor cursor; cursor.next < order.epoch_size(0); ++batches) {
    int64_t tokens = 0;
    for (const train::Window& w : order.next(cursor, shape.batch)) tokens += w.length;
    most = std::max(most, tokens);
    sum += tokens;
  }
  plan.step_tokens = most * shape.batches;
  plan.run_tokens = static_cast<double>(sum) / static_cast<double>(batches) * static_cast<double>(plan.batches);
}

void assume_steps(const TrainingWords& words, int64_t length, const train::StepShape& shape, TrainingPlan& plan) {
  plan.steps = words.steps > 0 ? words.steps : kAssumedSteps;
  plan.batches = plan.steps * shape.batches;
  plan.step_tokens = std::max(shape.batch.tokens, shape.batch.sequences * length) * shape.batches;
  plan.run_tokens = static_cast<double>(plan.step_tokens) * static_cast<double>(plan.steps);
}

void print_plan(const CommonOptions& common, const TrainingWords& words, const TrainingPlan& plan) {
  if (common.json && words.plan) fmt::print("{}\n", to_text(to_json(plan)));
  else if (!common.json) fmt::print("{}", text_of(plan));
  std::fflush(stdout);
}

namespace {

/// As --checkpointing says; auto begins with what is fastest, or beside weights that are held small with what is small too.
train::Checkpointing first_checkpointing(const TrainingWords& words, const PlannedModel& model) {
  if (words.checkpointing == "layers") return train::Checkpointing::layers;
  const bool small = words.checkpointing == "auto" && model.parameters.frozen != train::FrozenForm::f32;
  return small || words.checkpointing == "activations" ? train::Checkpointing::activations : train::Checkpointing::none;
}

}  // namespace

Status plan_memory(const PlannedModel& model, const TrainingWords& words, const train::StepShape& shape, uint64_t limit,
                   TrainingPlan& plan) {
  KL_ASSIGN(const train::OptimizerOptions optimizer, optimizer_of(words));
  KL_ASSIGN(const train::ParameterNeeds needs,
            train::parameter_needs(*model.program, model.parameters, optimizer.kind, model.stored));
  plan.parameters = needs.parameters;
  plan.trained = needs.trained;
  plan.weights = needs.weights;
  plan.gradients = needs.gradients;
  plan.optimizer = needs.optimizer;
  plan.optimizer_work = needs.optimizer_work;
  const int64_t tokens = plan.step_tokens / shape.batches;
  const uint64_t available = available_memory_bytes();
  if (available > 0) limit = std::min(limit, available);
  auto mode = first_checkpointing(words, model);
  for (;;) {
    const train::GraphOptions options{
        .parallel = model.parameters.parallel, .checkpointing = mode, .kernels = {}, .dropout = model.dropout};
    KL_ASSIGN(const train::WalkNeeds walk,
              train::walk_needs(*model.program, model.parameters, options, {tokens, tokens, model.sequence}));
    plan.activations = walk.bytes;
    plan.work = walk.work;
    plan.checkpointing = mode;
    if (mode == train::Checkpointing::layers || words.checkpointing != "auto" || plan.bytes() <= limit)
      return ok_status();
    mode = mode == train::Checkpointing::none ? train::Checkpointing::activations : train::Checkpointing::layers;
  }
}

Status plan_time(const PlannedModel& model, const train::StepShape& shape, TrainingPlan& plan) {
  auto stored = DType::f32;  // of the largest matrix that is held so
  int64_t most = 0;
  for (const ParamInfo& p : model.program->params) {
    if (!is_held_as_stored(p, model.parameters) || p.kind != ParamKind::linear || *p.shape.count() <= most) continue;
    most = *p.shape.count();
    KL_ASSIGN(stored, model.stored(p));
  }
  const int64_t tokens = plan.step_tokens / shape.batches;
  KL_ASSIGN(const train::ProductSpeed speed, train::measure_products(model.parameters, stored, tokens, model.compute));
  KL_ASSIGN(const double beside, optimizer_seconds(model, plan));
  const double batch = seconds_of(plan.work, speed) + seconds_of(plan.teacher_work, speed);
  plan.seconds = batch * plan.run_tokens / static_cast<double>(tokens) + beside;
  plan.seconds_by = "the speed of its matrix products here";
  return ok_status();
}

Result<double> optimizer_seconds(const PlannedModel& model, const TrainingPlan& plan) {
  if (plan.optimizer_work == 0) return 0.0;
  constexpr int64_t kRows = 512;
  KL_ASSIGN(const train::ProductSpeed speed,
            train::measure_products({.parallel = model.parameters.parallel}, DType::f32, kRows, model.compute));
  return plan.optimizer_work / speed.f32 * static_cast<double>(plan.steps);
}

Status check_memory(const TrainingPlan& plan, uint64_t limit) {
  if (plan.bytes() <= limit) return ok_status();
  return error(
      Code::resource_exhausted,
      "the run would pass the memory limit of {}; it takes {}; a smaller --batch, --method qlora or --optimizer "
      "adamw8 take less",
      format_bytes(limit), memory_text(plan));
}

Result<train::Graph> planned_graph(const PlannedModel& model, train::Parameters& parameters, const TrainingPlan& plan,
                                   Ledger& ledger) {
  return train::Graph::create(*model.program, parameters,
                              {.parallel = model.parameters.parallel,
                               .checkpointing = plan.checkpointing,
                               .kernels = {},
                               .compute = model.compute,
                               .dropout = model.dropout},
                              ledger);
}

}  // namespace kinglet::cli
