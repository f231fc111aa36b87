// The operators backward: each reads the gradient of its output and writes or adds to those of its inputs and parameters.
#include <cstring>

#include "train/walk.h"

namespace kinglet::train {
namespace {

// Gradients of biases and norms are sums over rows: each chunk of so many rows is summed on its own, then the chunks in
// order, whatever the threads.
constexpr int64_t kSumRows = 64;

Write write_of(const Action& action, int input) { return action.add[input] ? Write::add : Write::store; }

/// f(row, sums) over all rows, where sums (n) are those of the row's chunk; then `into` += each chunk's.
template <typename F>
void sum_over_rows(const Walk& w, int64_t rows, int64_t n, float* into, const F& f) {
  const int64_t chunks = ceil_div(rows, kSumRows);
  auto& partials = w.tools.partials;
  if (partials.size() < static_cast<size_t>(chunks * n)) partials.resize(static_cast<size_t>(chunks * n));
  w.tools.parallel.for_each(chunks, [&](int64_t chunk, int) {
    float* sums = partials.data() + chunk * n;
    std::fill_n(sums, n, 0.0f);
    for (int64_t i = chunk * kSumRows; i < std::min(rows, (chunk + 1) * kSumRows); ++i) f(i, sums);
  });
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    w.tools.gradients->add_scaled(partials.data() + chunk * n, 1.0f, n, into);
}

// Each column block of the table belongs to one chunk, which adds the rows in their order.
void embed_backward(const Walk& w, const Action& action, const Step& s, Matrix dout) {
  float* d = w.gradient(s.weight);
  if (d == nullptr) return;
  constexpr int64_t kColumns = 64;
  w.tools.parallel.for_each(ceil_div(dout.columns, kColumns), [&](int64_t chunk, int) {
    const int64_t c = chunk * kColumns, n = std::min(kColumns, dout.columns - c);
    for (int64_t i = 0; i < dout.rows; ++i) {
      float* row = d + w.batch.tokens[static_cast<size_t>(i)] * dout.columns + c;
      if (w.drops(action)) w.drop(action, i, c, n, dout.row(i) + c, row, row);
      else w.tools.gradients->add_scaled(dout.row(i) + c, 1.0f, n, row);
    }
  });
}

void norm_backward(const Walk& w, const Action& action, const Step& s, Matrix x, Matrix dout, Matrix dx) {
  const int64_t D = s.attr.heads > 0 ? s.attr.head_width : dout.columns;
  float *dweight = w.gradient(s.weight), *dbias = s.op == Op::layer_norm ? w.gradient(s.bias) : nullptr;
  const GradientKernels& k = *w.tools.gradients;
  const auto row = [&](int64_t i, float* weight_sums, float* bias_sums) {
    for (int64_t c = 0; c < dout.columns; c += D) {
      const NormRow norm{x.row(i) + c, w.values(s.weight), s.attr.eps, D};
      float* to = dx.data == nullptr ? nullptr : dx.row(i) + c;
      if (s.op == Op::layer_norm) k.layer_norm(norm, dout.row(i) + c, to, action.add[0], weight_sums, bias_sums);
      else k.rms_norm(norm, dout.row(i) + c, to, action.add[0], weight_sums);
    }
  };
  if (dweight == nullptr && dbias == nullptr)
    return w.for_rows(dout.rows, [&](int64_t i) { row(i, nullptr, nullptr); });
  if (dbias == nullptr)
    return sum_over_rows(w, dout.rows, D, dweight, [&](int64_t i, float* sums) { row(i, sums, nullptr); });
  std::vector<float> both(static_cast<size_t>(2 * D), 0.0f);
  sum_over_rows(w, dout.rows, 2 * D, both.data(), [&](int64_t i, float* sums) { row(i, sums, sums + D); });
  if (dweight != nullptr) k.add_scaled(both.data(), 1.0f, D, dweight);
  k.add_scaled(both.data() + D, 1.0f, D, dbias);
}

void linear_backward(const Walk& w, const Action& action, const Step& s, Matrix x, Matrix dout, Matrix dx) {
  if (float* dw = w.gradient(s.weight)) w.tools.products.weight_gradient(dout, x, dw);
  if (float* db = w.gradient(s.bias))
    sum_over_rows(w, dout.rows, dout.columns, db, [&](int64_t i, float* sums) {
      w.tools.gradients->add_scaled(dout.row(i), 1.0f, dout.columns, sums);
    });
  if (dx.data != nullptr) w.tools.products.input_gradient(dout, w.parameter(s.weight), dx, write_of(action, 0));
}

// Magnitudes over norms that are held fixed: the gradient goes to the magnitudes alone.
void gain_backward(const Walk& w, const Action& action, const Step& s, Matrix x, Matrix dout, Matrix dx) {
  const float* divisors = w.tools.norms.inverse(s.weight);
  if (float* dweight = w.gradient(s.weight))
    sum_over_rows(w, dout.rows, dout.columns, dweight, [&](int64_t i, float* sums) {
      const float *a = x.row(i), *d = dout.row(i);
      for (int64_t c = 0; c < dout.columns; ++c) sums[c] += d[c] * a[c] * (divisors == nullptr ? 1.0f : divisors[c]);
    });
  if (float* dbias = w.gradient(s.bias))
    sum_over_rows(w, dout.rows, dout.columns, dbias, [&](int64_t i, float* sums) {
      w.tools.gradients->add_scaled(dout.row(i), 1.0f, dout.columns, sums);
    });
  if (dx.data == nullptr) return;
  const float* gains = w.gains(s.weight);
  w.for_rows(dout.rows, [&](int64_t i) {
    w.tools.kernels->gain(dout.row(i), gains, action.add[0] ? dx.row(i) : nullptr, dx.columns, dx.row(i));
  });
}

void rope_backward(const Walk& w, const Action& action, const Step& s, Matrix dout, Matrix dx) {
  if (dx.data == nullptr) return;
  const KernelTable& k = *w.tools.kernels;
  const auto turn = s.attr.interleaved ? k.rope_interleaved : k.rope_half;
  w.for_rows(dout.rows, [&](int64_t i) {
    const auto r = w.tools.ropes.row(s.attr.rope, w.batch.positions[static_cast<size_t>(i)], w.sequence_length(i));
    const auto turn_back = [&](float* row) {
      turn(row, s.attr.heads, s.attr.head_width, s.attr.rotary, r.cos, r.minus_sin);
    };
    const auto bytes = static_cast<size_t>(dx.columns) * sizeof(float);
    if (action.add[0]) {
      std::vector<float> turned(dout.row(i), dout.row(i) + dout.columns);
      turn_back(turned.data());
      return k.add(dx.row(i), turned.data(), dx.columns, dx.row(i));
    }
    if (dx.row(i) != dout.row(i)) std::memcpy(dx.row(i), dout.row(i), bytes);
    turn_back(dx.row(i));
  });
}

using Gated = void (*)(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup,
                       bool add);
void gated_backward(const Walk& w, Gated act, const Action& action, const Step& s) {
  const Matrix gate = w.matrix(action.in[0], s.in[0]), up = w.matrix(action.in[1], s.in[1]);
  const Matrix dout = w.matrix(action.d_out, s.out);
  const Matrix dgate = w.matrix(action.d_in[0], s.in[0]), dup = w.matrix(action.d_in[1], s.in[1]);
  w.for_rows(dout.rows, [&](int64_t i) {
    const auto at = [&](Matrix m) { return m.data == nullptr ? nullptr : m.row(i); };
    const auto run = [&](float* to_gate, float* to_up, bool add) {
      act(gate.row(i), up.row(i), dout.row(i), dout.columns, to_gate, to_up, add);
    };
    if (action.add[0] == action.add[1]) return run(at(dgate), at(dup), action.add[0]);
    const bool gate_last = dgate.data == dout.data;  // then it overwrites what the other one reads
    if (!gate_last) run(at(dgate), nullptr, action.add[0]);
    run(nullptr, at(dup), action.add[1]);
    if (gate_last) run(at(dgate), nullptr, action.add[0]);
  });
}

void attention_backward(Walk& w, const Action& action, const Step& s) {
  const auto value = [&](int i) { return w.matrix(action.in[i], s.in[i]); };
  const auto gradient = [&](int i) { return w.matrix(action.d_in[i], s.in[i]); };
  AttentionWalk(*w.tools.gradients, w.tools.parallel, s.attr, w.batch.starts)
      .backward({.q = value(0),
                 .k = value(1),
                 .v = value(2),
                 .out = w.matrix(action.out, s.out),
                 .log_sums = w.matrix({action.log_sums, 0}, s.attr.heads),
                 .dout = w.matrix(action.d_out, s.out),
                 .dq = gradient(0),
                 .dk = gradient(1),
                 .dv = gradient(2),
                 .write_q = write_of(action, 0),
                 .write_k = write_of(action, 1),
                 .write_v = write_of(action, 2)},
                reinterpret_cast<float*>(w.tools.attention.data()));
}

/// dx (=|+=) factor * dout.
void pass_on(const Walk& w, const Action& action, int input, const Step& s, float factor) {
  const Matrix dout = w.matrix(action.d_out, s.out), dx = w.matrix(action.d_in[input], s.in[input]);
  if (dx.data == nullptr || (dx.data == dout.data && factor == 1.0f)) return;
  const KernelTable& k = *w.tools.kernels;
  if (w.drops(action) && action.dropped == input)
    return w.for_rows(dout.rows, [&](int64_t i) {
      w.drop(action, i, 0, dx.columns, dout.row(i), action.add[input] ? dx.row(i) : nullptr, dx.row(i));
    });
  w.for_rows(dout.rows, [&](int64_t i) {
    if (action.add[input]) w.tools.gradients->add_scaled(dout.row(i), factor, dx.columns, dx.row(i));
    else k.scale(dout.row(i), factor, dx.columns, dx.row(i));
  });
}

void select_backward(const Walk& w, const Action& action, Matrix dout, Matrix dx) {
  if (dx.data == nullptr) return;
  if (!action.add[0]) w.for_rows(dx.rows, [&](int64_t i) { std::fill_n(dx.row(i), dx.columns, 0.0f); });
  w.for_rows(dout.rows, [&](int64_t i) {
    w.tools.gradients->add_scaled(dout.row(i), 1.0f, dx.columns, dx.row(w.outputs[static_cast<size_t>(i)]));
  });
}

}  // namespace

void Walk::run_backward(const Action& action) {
  if (!action.d_out.wanted()) return;
  const Step& s = step(action);
  for (int i = 0; i < 3; ++i) {
    if (!action.clear[i]) continue;
    const Matrix whole =
        matrix({action.d_in[i].buffer, 0}, tape.buffers[static_cast<size_t>(action.d_in[i].buffer)].width);
    for_rows(whole.rows, [&](int64_t r) { std::fill_n(whole.row(r), whole.columns, 0.0f); });
  }
  const Matrix x = s.in[0] == kNone ? Matrix{} : matrix(action.in[0], s.in[0]);
  const Matrix dout = matrix(action.d_out, s.out);
  const Matrix dx = s.in[0] == kNone ? Matrix{} : matrix(action.d_in[0], s.in[0]);
  switch (s.op) {
    case Op::embed:
      return embed_backward(*this, action, s, dout);
    case Op::rms_norm:
    case Op::layer_norm:
      return norm_backward(*this, action, s, x, dout, dx);
    case Op::linear:
      return linear_backward(*this, action, s, x, dout, dx);
    case Op::rope:
      return rope_backward(*this, action, s, dout, dx);
    case Op::attention:
      return attention_backward(*this, action, s);
    case Op::silu_mul:
      return gated_backward(*this, tools.gradients->silu_mul, action, s);
    case Op::gelu_tanh_mul:
      return gated_backward(*this, tools.gradients->gelu_tanh_mul, action, s);
    case Op::gelu_mul:
      return gated_backward(*this, tools.gradients->gelu_mul, action, s);
    case Op::add:
      pass_on(*this, action, 0, s, 1.0f);
      return pass_on(*this, action, 1, s, 1.0f);
    case Op::scale:
      return pass_on(*this, action, 0, s, s.attr.factor);
    case Op::gain:
      return gain_backward(*this, action, s, x, dout, dx);
    case Op::softcap: {
      const Matrix y = matrix(action.out, s.out);
      return for_rows(dout.rows, [&](int64_t i) {
        tools.gradients->softcap(y.row(i), dout.row(i), s.attr.softcap, dout.columns, dx.row(i), action.add[0]);
      });
    }
    case Op::select:
      return select_backward(*this, action, dout, dx);
  }
}

}  // namespace kinglet::train
