#include "arch/adapter.h"

#include <algorithm>

#include "host/error.h"

namespace kinglet {
namespace {

SlotId add_slot(ProgramStorage& program, int64_t width, Rows rows) {
  program.slots.push_back({static_cast<int32_t>(width), kNone, 0, rows});
  return static_cast<SlotId>(program.slots.size() - 1);
}

ParamId add_param(ProgramStorage& program, const ParamInfo& base, char which, Shape shape,
                  const std::vector<float>& values) {
  program.params.push_back({.gguf = fmt::format("{}.lora_{}", base.gguf, which),
                            .hf = fmt::format("{}.lora_{}", base.hf, which),
                            .shape = shape,
                            .layer = base.layer,
                            .values = values});
  program.shapes.push_back({shape});
  return static_cast<ParamId>(program.params.size() - 1);
}

// y = W x  becomes  y0 = W x; a = A x; a' = scale a; b = B a'; y = y0 + b, so that whoever reads y need not change.
void append_adapted(ProgramStorage& program, std::vector<Step>& steps, Step linear, const LoraPair& pair, ParamId a,
                    ParamId b) {
  const SlotId y = linear.out, x = linear.in[0];
  const Rows rows = program.slots[static_cast<size_t>(y)].rows;
  const int64_t width = program.slots[static_cast<size_t>(y)].width;
  const auto make = [&](Op op, SlotId in0, SlotId in1, SlotId out, ParamId weight, Attr attr = {}) {
    Step step{.op = op, .layer = linear.layer, .out = out, .weight = weight, .attr = attr};
    step.in[0] = in0;
    step.in[1] = in1;
    steps.push_back(step);
  };
  linear.out = add_slot(program, width, rows);
  steps.push_back(linear);
  const SlotId reduced = add_slot(program, pair.R, rows), scaled = add_slot(program, pair.R, rows),
               delta = add_slot(program, width, rows);
  make(Op::linear, x, kNone, reduced, a);
  make(Op::scale, reduced, kNone, scaled, kNone, {.factor = pair.scale});
  make(Op::linear, scaled, kNone, delta, b);
  make(Op::add, linear.out, delta, y, kNone);
}

}  // namespace

Status apply_adapter(ProgramStorage& program, const Adapter& adapter) {
  std::vector<std::pair<ParamId, ParamId>> added;
  for (const LoraPair& pair : adapter.pairs) {
    const ParamInfo base = program.params[static_cast<size_t>(pair.base)];
    const ParamId a = add_param(program, base, 'a', {pair.R, base.shape[1]}, pair.a);
    added.emplace_back(a, add_param(program, base, 'b', {base.shape[0], pair.R}, pair.b));
  }
  std::vector<Step> steps;
  for (const Step& step : program.steps) {
    const auto pair = std::find_if(adapter.pairs.begin(), adapter.pairs.end(),
                                   [&](const LoraPair& p) { return step.op == Op::linear && p.base == step.weight; });
    if (pair == adapter.pairs.end()) {
      steps.push_back(step);
    } else {
      const auto& [a, b] = added[static_cast<size_t>(pair - adapter.pairs.begin())];
      append_adapted(program, steps, step, *pair, a, b);
    }
  }
  program.steps = std::move(steps);
  return validate(program.view());
}

}  // namespace kinglet
