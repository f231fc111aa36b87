// Matrix products over panels of weights, with the fused forms: several weights on one input, a residual, gate and up.
#include <algorithm>
#include <cstring>

#include "base/half.h"
#include "exec/walker.h"

namespace kinglet {
namespace {

// Where a product goes: `out` is the place of the first panel's first row.
struct Target {
  float* out;
  int64_t stride;
  Epilogue epilogue;
};

struct Product {
  const Step* step;
  int64_t first, T, K, N;  // T rows from the first on
  int64_t panels() const { return ceil_div<int64_t>(N, kPanelRows); }
};

Product product_of(const Walker& w, const Step& step, int64_t first, int64_t rows) {
  const Shape& shape = w.plan.program.params[static_cast<size_t>(step.weight)].shape;
  return {&step, first, rows, shape[1], shape[0]};
}
Product product_of(const Walker& w, const Step& step) { return product_of(w, step, 0, w.rows(step.out)); }

void convert_input(const Walker& w, const Launch& launch) {
  if (launch.convert_in == ActKind::f32) return;
  const SlotId in = w.step(launch, 0).in[0];
  w.for_rows(w.rows(in), [&](int64_t i) { w.convert_row(in, i, launch.convert_in); });
}

// Copies packed panels to their new place; returns where they are.
const std::byte* move_panels(const Walker& w, const ParamData& weight, size_t from, size_t bytes) {
  std::memcpy(weight.pack_into + from, weight.panels + from, bytes);
  w.batch.packing->rows_packed(w.batch.packing->self, {weight.panels + from, bytes});
  return weight.pack_into + from;
}

// f16 values as bf16, at `out`, which it returns.
const std::byte* as_bf16(const std::byte* f16, int64_t n, std::byte* out) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t value;
    std::memcpy(&value, f16 + 2 * i, sizeof(value));
    value = f32_to_bf16(f16_to_f32(value));
    std::memcpy(out + 2 * i, &value, sizeof(value));
  }
  return out;
}

// Panels [begin, end) of one product. Weights that are not packed yet are packed panel by panel first: the same kernel on the
// same bytes, so the result is the same.
void multiply(const Walker& w, const Product& p, int64_t begin, int64_t end, Target target, std::byte* scratch) {
  const Step& step = *p.step;
  const ParamData& weight = w.param(step.weight);
  const WeightKernels& k = w.weight_kernels(step.weight);
  const bool converted = k.act != ActKind::f32;
  const int64_t first = begin * kPanelRows;
  MatmulArgs args{
      .panels = k.canonical && weight.panels == nullptr ? weight.rows : weight.panels,
      .panel_bytes = weight.panel_bytes,
      .acts = converted ? w.act_row(p.first) : reinterpret_cast<const std::byte*>(w.row(step.in[0], p.first)),
      .act_stride = converted ? w.plan.act_stride : static_cast<size_t>(w.stride(step.in[0])) * sizeof(float),
      .out = target.out,
      .out_stride = target.stride,
      .bias = step.bias == kNone ? nullptr : w.values(step.bias) + first,
      .T = p.T,
      .K = p.K,
      .N = p.N - first,
      .panel_begin = 0,
      .panel_end = end - begin,
      .epilogue = target.epilogue,
      .scratch = scratch + packing_scratch_bytes(weight),
      .few = w.plan.options.few_tokens};
  const bool keep = weight.pack_into != nullptr && w.batch.packing != nullptr;
  if (args.panels != nullptr) {
    const size_t from = static_cast<size_t>(begin) * weight.panel_bytes;
    args.panels += from;
    if (keep) args.panels = move_panels(w, weight, from, static_cast<size_t>(end - begin) * weight.panel_bytes);
    return k.matmul(args);
  }
  args.panel_end = 1;
  for (int64_t row = first; row < std::min(p.N, end * kPanelRows); row += kPanelRows) {
    const auto rows = static_cast<int>(std::min<int64_t>(kPanelRows, p.N - row));
    std::byte* panel = !keep ? scratch : weight.pack_into + static_cast<size_t>(row / kPanelRows) * weight.panel_bytes;
    const std::byte* source = weight.rows + static_cast<size_t>(row) * weight.row_bytes;
    if (weight.panel_dtype != weight.dtype)
      source = as_bf16(source, rows * p.K, scratch + round_up<size_t>(weight.panel_bytes, 64));
    k.pack(source, weight.row_bytes, rows, p.K, panel);
    args.panels = panel;
    k.matmul(args);
    args.out += kPanelRows;
    args.bias += args.bias == nullptr ? 0 : kPanelRows;
    args.N -= kPanelRows;
  }
  if (keep) {
    const size_t from = static_cast<size_t>(first) * weight.row_bytes,
                 to = static_cast<size_t>(std::min(p.N, end * kPanelRows)) * weight.row_bytes;
    w.batch.packing->rows_packed(w.batch.packing->self, {weight.rows + from, to - from});
  }
}

void tell_packed(const Walker& w, const Step& step) {
  const ParamData& weight = w.param(step.weight);
  if (weight.pack_into != nullptr && w.batch.packing != nullptr)
    w.batch.packing->param_packed(w.batch.packing->self, step.weight);
}

// Panels a work item takes: enough items to balance, few enough that claiming them costs nothing.
int64_t panels_per_item(int64_t panels, int workers) {
  return std::clamp<int64_t>(panels / (int64_t{8} * workers), 1, 16);
}

// The launch's products for `rows` rows from `first` on.
void multiply_rows(const Walker& w, const Launch& launch, int64_t first, int64_t rows) {
  const int count = launch.residual ? 1 : launch.count;
  Product products[3];
  int64_t panels = 0;
  for (int i = 0; i < count; ++i) panels += (products[i] = product_of(w, w.step(launch, i), first, rows)).panels();
  if (rows == 0) return;
  const int64_t item = panels_per_item(panels, w.parallel.workers);
  w.parallel.for_each(ceil_div(panels, item), [&](int64_t chunk, int worker) {
    int64_t begin = chunk * item;
    int64_t left = std::min(panels, begin + item) - begin;
    for (int i = 0; i < count && left > 0; ++i) {
      const Product& p = products[i];
      if (begin < p.panels()) {
        const int64_t end = std::min(p.panels(), begin + left);
        const SlotId out = launch.residual ? w.step(launch, 1).out : p.step->out;
        multiply(
            w, p, begin, end,
            {w.row(out, first) + begin * kPanelRows, w.stride(out), launch.residual ? Epilogue::add : Epilogue::store},
            w.scratch(worker));
        left -= end - begin;
        begin = end;
      }
      begin -= p.panels();
    }
  });
  for (int i = 0; i < count; ++i) tell_packed(w, *products[i].step);
}

}  // namespace

void run_linear(const Walker& w, const Launch& launch) {
  convert_input(w, launch);
  const Rows which = w.rows_of(w.step(launch, 0).out);
  w.for_stretches(launch, which, [&](int64_t first, int64_t rows) { multiply_rows(w, launch, first, rows); });
}

void run_gated_linear(const Walker& w, const Launch& launch) {
  const Step& act = w.step(launch, launch.count - 1);
  convert_input(w, launch);
  const bool separate = launch.count == 3;
  const Product gate = product_of(w, w.step(launch, 0));
  const Product up = separate ? product_of(w, w.step(launch, 1)) : gate;
  if (gate.T == 0) return;
  const int64_t F = w.width(act.out), panels = ceil_div<int64_t>(F, kPanelRows);
  const int64_t up_first = separate ? 0 : panels;  // one weight for both: gate rows, then up rows
  const int64_t item = std::min<int64_t>(gated_tile_panels(gate.T), panels_per_item(panels, w.parallel.workers));
  const KernelTable& k = w.kernels();
  const auto apply = act.op == Op::silu_mul ? k.silu_mul : act.op == Op::gelu_tanh_mul ? k.gelu_tanh_mul : k.gelu_mul;
  w.parallel.for_each(ceil_div(panels, item), [&](int64_t chunk, int worker) {
    const int64_t begin = chunk * item, end = std::min(panels, begin + item);
    const int64_t column = begin * kPanelRows, columns = std::min(F, end * kPanelRows) - column;
    auto* tile = reinterpret_cast<float*>(w.scratch(worker));
    std::byte* rest = w.scratch(worker) + round_up<size_t>(gated_tile_bytes(gate.T), 64);
    const int64_t tile_stride = int64_t{gated_tile_panels(gate.T)} * kPanelRows;
    multiply(w, gate, begin, end, {w.data(act.out) + column, w.stride(act.out), Epilogue::store}, rest);
    multiply(w, up, up_first + begin, up_first + end, {tile, tile_stride, Epilogue::store}, rest);
    for (int64_t t = 0; t < gate.T; ++t) {
      float* g = w.row(act.out, t) + column;
      apply(g, tile + t * tile_stride, columns, g);
    }
  });
  tell_packed(w, *gate.step);
  if (separate) tell_packed(w, *up.step);
}

}  // namespace kinglet
