// The operators forward, in f32.
#include <cstring>

#include "train/walk.h"

namespace kinglet::train {
namespace {

void run_embed(const Walk& w, const Step& s, Matrix out) {
  const Parameter& table = w.parameter(s.weight);
  w.for_rows(out.rows, [&](int64_t i) {
    const auto id = static_cast<size_t>(w.batch.tokens[static_cast<size_t>(i)]);
    const auto C = static_cast<size_t>(out.columns);
    if (table.values.empty()) dequantize_row(table.dtype)(table.rows + id * table.row_bytes, out.columns, out.row(i));
    else std::memcpy(out.row(i), table.values.data() + id * C, C * sizeof(float));
  });
}

void drop_rows(const Walk& w, const Action& action, Matrix x) {
  w.for_rows(x.rows, [&](int64_t i) { w.drop(action, i, 0, x.columns, x.row(i), nullptr, x.row(i)); });
}

/// Adds a block's output to the residual stream.
void run_add(const Walk& w, const Action& action, Matrix x, Matrix y, Matrix out) {
  if (!w.drops(action))
    return w.for_rows(out.rows, [&](int64_t i) { w.tools.kernels->add(x.row(i), y.row(i), out.columns, out.row(i)); });
  const Matrix branch = action.dropped == 0 ? x : y, stream = action.dropped == 0 ? y : x;
  w.for_rows(out.rows, [&](int64_t i) { w.drop(action, i, 0, out.columns, branch.row(i), stream.row(i), out.row(i)); });
}

void run_norm(const Walk& w, const Step& s, Matrix x, Matrix out) {
  const KernelTable& k = *w.tools.kernels;
  const int64_t D = s.attr.heads > 0 ? s.attr.head_width : out.columns;
  w.for_rows(out.rows, [&](int64_t i) {
    for (int64_t c = 0; c < out.columns; c += D) {
      if (s.op == Op::layer_norm)
        k.layer_norm(x.row(i) + c, w.values(s.weight), w.values(s.bias), s.attr.eps, D, out.row(i) + c);
      else k.rms_norm(x.row(i) + c, w.values(s.weight), s.attr.eps, D, out.row(i) + c);
    }
  });
}

void run_linear(Walk& w, const Action& action, const Step& s, Matrix x, Matrix out) {
  const Parameter& weight = w.parameter(s.weight);
  const Walk::Converted wanted{s.in[0], w.chunk_first, w.tools.products.reads(weight)};
  if (wanted.kind != ActKind::f32 && w.converted != wanted) {
    w.tools.products.convert_rows(x, wanted.kind);
    w.converted = wanted;
  }
  w.tools.products.forward(x, weight, w.values(s.bias), out, action.accumulate ? Write::add : Write::store);
}

void run_rope(const Walk& w, const Step& s, Matrix x, Matrix out) {
  const KernelTable& k = *w.tools.kernels;
  const auto turn = s.attr.interleaved ? k.rope_interleaved : k.rope_half;
  w.for_rows(out.rows, [&](int64_t i) {
    if (x.row(i) != out.row(i)) std::memcpy(out.row(i), x.row(i), static_cast<size_t>(out.columns) * sizeof(float));
    const auto r = w.tools.ropes.row(s.attr.rope, w.batch.positions[static_cast<size_t>(i)], w.sequence_length(i));
    turn(out.row(i), s.attr.heads, s.attr.head_width, s.attr.rotary, r.cos, r.sin);
  });
}

using Gated = void (*)(const float* gate, const float* up, int64_t n, float* out);
void run_gated(const Walk& w, Gated act, Matrix gate, Matrix up, Matrix out) {
  w.for_rows(out.rows, [&](int64_t i) { act(gate.row(i), up.row(i), out.columns, out.row(i)); });
}

void run_select(const Walk& w, Matrix x, Matrix out) {
  w.for_rows(out.rows, [&](int64_t i) {
    std::memcpy(out.row(i), x.row(w.outputs[static_cast<size_t>(i)]), static_cast<size_t>(out.columns) * sizeof(float));
  });
}

}  // namespace

Matrix Walk::matrix(Operand o, int64_t columns) const {
  if (!o.wanted()) return {};
  const Buffer& b = tape.buffers[static_cast<size_t>(o.buffer)];
  const int64_t first = b.extent == Extent::outputs ? chunk_first : 0;
  const int64_t rows = b.extent == Extent::tokens ? extents.tokens : chunk_rows;
  return {arena + placement.offsets[static_cast<size_t>(o.buffer)] + first * b.width + o.column, b.width, rows,
          columns};
}

void Walk::drop(const Action& action, int64_t row, int64_t first, int64_t n, const float* x, const float* plus,
                float* out) const {
  constexpr int64_t kBlock = 256;
  float factors[kBlock];
  const DropoutRow mask =
      tools.dropout.row(batch.noise[sequence_of(row)], action.step, batch.positions[static_cast<size_t>(row)]);
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t m = std::min(kBlock, n - i);
    tools.gradients->dropout_factors(mask, first + i, m, factors);
    tools.kernels->gain(x + i, factors, plus == nullptr ? nullptr : plus + i, m, out + i);
  }
}

void Walk::run_forward(const Action& action) {
  const Step& s = step(action);
  const KernelTable& k = *tools.kernels;
  const Matrix x = s.in[0] == kNone ? Matrix{} : matrix(action.in[0], s.in[0]);
  const Matrix y = s.in[1] == kNone ? Matrix{} : matrix(action.in[1], s.in[1]);
  const Matrix out = matrix(action.out, s.out);
  if (converted.slot != kNone && place_of(tools.program, s.out).root == place_of(tools.program, converted.slot).root)
    converted = {};  // made anew
  switch (s.op) {
    case Op::embed:
      run_embed(*this, s, out);
      if (drops(action)) drop_rows(*this, action, out);
      return;
    case Op::rms_norm:
    case Op::layer_norm:
      return run_norm(*this, s, x, out);
    case Op::linear:
      return run_linear(*this, action, s, x, out);
    case Op::rope:
      return run_rope(*this, s, x, out);
    case Op::attention:
      return AttentionWalk(*tools.gradients, tools.parallel, s.attr, batch.starts)
          .forward(x, y, matrix(action.in[2], s.in[2]), out, matrix({action.log_sums, 0}, s.attr.heads),
                   reinterpret_cast<float*>(tools.attention.data()));
    case Op::silu_mul:
      return run_gated(*this, k.silu_mul, x, y, out);
    case Op::gelu_tanh_mul:
      return run_gated(*this, k.gelu_tanh_mul, x, y, out);
    case Op::gelu_mul:
      return run_gated(*this, k.gelu_mul, x, y, out);
    case Op::add:
      return run_add(*this, action, x, y, out);
    case Op::scale:
      return for_rows(out.rows, [&](int64_t i) { k.scale(x.row(i), s.attr.factor, out.columns, out.row(i)); });
    case Op::gain:
      return for_rows(out.rows,
                      [&](int64_t i) { k.gain(x.row(i), gains(s.weight), values(s.bias), out.columns, out.row(i)); });
    case Op::softcap:
      return for_rows(out.rows, [&](int64_t i) { k.softcap(x.row(i), s.attr.softcap, out.columns, out.row(i)); });
    case Op::select:
      return run_select(*this, x, out);
  }
}

}  // namespace kinglet::train
