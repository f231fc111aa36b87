#include "arch/adapter.h"

#include <algorithm>

#include "host/error.h"

namespace kinglet {
namespace {

SlotId add_slot(ProgramStorage& program, int64_t width, Rows rows) {
  program.slots.push_back({static_cast<int32_t>(width), kNone, 0, rows});
  return static_cast<SlotId>(program.slots.size() - 1);
}

ParamId add_param(ProgramStorage& program, const ParamInfo& base, std::string_view which, Shape shape,
                  const std::vector<float>& values) {
  program.params.push_back({.gguf = fmt::format("{}.lora_{}", base.gguf, which),
                            .hf = fmt::format("{}.lora_{}", base.hf, which),
                            .shape = shape,
                            .kind = shape.rank == 1 ? ParamKind::norm : ParamKind::linear,
                            .layer = base.layer,
                            .values = values});
  program.shapes.push_back({shape});
  return static_cast<ParamId>(program.params.size() - 1);
}

/// The parameters of a pair; `magnitude` only with DoRA.
struct Added {
  ParamId a, b, magnitude = kNone;
};

Added add_params(ProgramStorage& program, const LoraPair& pair, AdapterUse use) {
  const ParamInfo base = program.params[static_cast<size_t>(pair.base)];
  Added out{.a = add_param(program, base, "a", {pair.R, base.shape[1]}, pair.a),
            .b = add_param(program, base, "b", {base.shape[0], pair.R}, pair.b)};
  if (!pair.is_dora()) return out;
  out.magnitude =
      add_param(program, base, "magnitude", {base.shape[0]}, use == AdapterUse::train ? pair.magnitude : pair.gain);
  if (use == AdapterUse::train)
    program.params.back().norms = {.base = pair.base, .a = out.a, .b = out.b, .scale = pair.scale};
  return out;
}

// y = W x  becomes  y0 = W x; a = A x; a' = scale a; b = B a'; y = y0 + b, so that whoever reads y need not change.
// With DoRA y = gain (y0 + b) + bias, and the bias is taken from the first product.
void append_adapted(ProgramStorage& program, std::vector<Step>& steps, Step linear, const LoraPair& pair,
                    const Added& added) {
  const SlotId y = linear.out, x = linear.in[0];
  const Rows rows = program.slots[static_cast<size_t>(y)].rows;
  const int64_t width = program.slots[static_cast<size_t>(y)].width;
  const auto make = [&](Op op, SlotId in0, SlotId in1, SlotId out, ParamId weight, Attr attr = {}) -> Step& {
    Step step{.op = op, .layer = linear.layer, .out = out, .weight = weight, .attr = attr};
    step.in[0] = in0;
    step.in[1] = in1;
    steps.push_back(step);
    return steps.back();
  };
  const ParamId bias = linear.bias;
  if (pair.is_dora()) linear.bias = kNone;
  linear.out = add_slot(program, width, rows);
  steps.push_back(linear);
  const SlotId reduced = add_slot(program, pair.R, rows), scaled = add_slot(program, pair.R, rows),
               delta = add_slot(program, width, rows);
  const SlotId sum = pair.is_dora() ? add_slot(program, width, rows) : y;
  make(Op::linear, x, kNone, reduced, added.a);
  make(Op::scale, reduced, kNone, scaled, kNone, {.factor = pair.scale});
  make(Op::linear, scaled, kNone, delta, added.b);
  make(Op::add, linear.out, delta, sum, kNone);
  if (pair.is_dora()) make(Op::gain, sum, kNone, y, added.magnitude).bias = bias;
}

/// Gains would scale what another adapter adds.
Status check_alone(const ProgramStorage& program, const LoraPair& pair) {
  const std::string& base = program.params[static_cast<size_t>(pair.base)].hf;
  for (const ParamInfo& p : program.params) {
    const bool lora = p.hf == base + ".lora_a", dora = p.hf == base + ".lora_magnitude";
    if (dora || (lora && pair.is_dora()))
      return error(Code::unsupported, "a DoRA adapter and another one adapt {}: merge one of them first", base);
  }
  return ok_status();
}

/// Rewrites `steps`, and calls `copied(i)` for each of the old steps and `made()` for each new one, in the new order.
template <typename Copied, typename Made>
void add_pairs(ProgramStorage& program, const Adapter& adapter, AdapterUse use, Copied&& copied, Made&& made) {
  std::vector<Added> added;
  for (const LoraPair& pair : adapter.pairs) added.push_back(add_params(program, pair, use));
  std::vector<Step> steps;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const auto pair = std::find_if(adapter.pairs.begin(), adapter.pairs.end(),
                                   [&](const LoraPair& p) { return step.op == Op::linear && p.base == step.weight; });
    copied(i);
    if (pair == adapter.pairs.end()) {
      steps.push_back(step);
      continue;
    }
    const size_t before = steps.size();
    append_adapted(program, steps, step, *pair, added[static_cast<size_t>(pair - adapter.pairs.begin())]);
    for (size_t n = before + 1; n < steps.size(); ++n) made();
  }
  program.steps = std::move(steps);
}

}  // namespace

Status apply_adapter(ProgramStorage& program, const Adapter& adapter, AdapterUse use) {
  for (const LoraPair& pair : adapter.pairs) KL_TRY(check_alone(program, pair));
  add_pairs(
      program, adapter, use, [](size_t) {}, [] {});
  return validate(program.view());
}

Result<ChoiceProgram> make_choice_program(ProgramStorage base, std::span<const std::unique_ptr<Adapter>> adapters) {
  const size_t steps = base.steps.size();
  ChoiceProgram out{std::move(base), std::vector<int16_t>(steps, int16_t{kNone})};
  for (size_t i = 0; i < adapters.size(); ++i) {
    if (std::ranges::any_of(adapters[i]->pairs, &LoraPair::is_dora)) {
      return error(Code::unsupported,
                   "{}: a DoRA adapter serves all requests or none; merge it into a model of its own",
                   adapters[i]->path);
    }
    std::vector<int16_t> owners;
    add_pairs(
        out.program, *adapters[i], AdapterUse::run, [&](size_t step) { owners.push_back(out.owners[step]); },
        [&] { owners.push_back(static_cast<int16_t>(i)); });
    out.owners = std::move(owners);
  }
  KL_TRY(validate(out.program.view()));
  return out;
}

}  // namespace kinglet
