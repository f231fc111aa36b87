// Every operator's gradient against central differences of the same program evaluated in double by the plain formulas.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "arch/adapter.h"
#include "host/threads.h"
#include "kernels/kernels.h"
#include "kernels/testing.h"
#include "train/dropout.h"
#include "train/graph.h"

namespace kinglet::train {
namespace {

using Values = std::vector<double>;

double activation(Op op, double x) {
  if (op == Op::silu_mul) return x / (1 + std::exp(-x));
  if (op == Op::gelu_mul) return 0.5 * x * std::erfc(-x * std::sqrt(0.5));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

/// The program in double: slots are (rows, width), written whole.
class DoubleWalk {
 public:
  /// `divisors`: of each parameter, what a gain divides it by; empty: nothing.
  DoubleWalk(const Program& program, const std::vector<Values>& params, const std::vector<Values>& divisors,
             const Batch& batch, const Dropout& dropout)
      : p_(program),
        params_(params),
        divisors_(divisors),
        batch_(batch),
        dropout_(dropout),
        sites_(dropout_sites(program)) {
    for (size_t i = 0; i < batch.targets.size(); ++i)
      if (batch.targets[i] != kIgnore) outputs_.push_back(i);
    slots_.resize(program.slots.size());
  }

  double loss() {
    for (const Step& s : p_.steps) run(s);
    double sum = 0;
    for (size_t r = 0; r < outputs_.size(); ++r) {
      double total = 0;
      for (int64_t v = 0; v < width(p_.logits); ++v) total += std::exp(at(p_.logits, r, v));
      sum += std::log(total) - at(p_.logits, r, batch_.targets[outputs_[r]]);
    }
    return sum;
  }

 private:
  int64_t width(SlotId s) const { return p_.slots[static_cast<size_t>(s)].width; }
  size_t rows(SlotId s) const {
    return p_.slots[static_cast<size_t>(s)].rows == Rows::tokens ? batch_.tokens.size() : outputs_.size();
  }
  double& at(SlotId s, size_t row, int64_t column) {
    const SlotPlace place = place_of(p_, s);
    Values& values = slots_[static_cast<size_t>(place.root)];
    values.resize(rows(s) * static_cast<size_t>(width(place.root)));
    return values[row * static_cast<size_t>(width(place.root)) + static_cast<size_t>(place.column + column)];
  }
  double param(ParamId id, int64_t i) const {
    return id == kNone ? 0 : params_[static_cast<size_t>(id)][static_cast<size_t>(i)];
  }
  /// What dropout multiplies with where a step reads its input i (an embedding: where it writes); else ones.
  Values kept(const Step& s, int i, size_t r) const {
    const auto step = static_cast<size_t>(&s - p_.steps.data());
    std::vector<float> factors(static_cast<size_t>(width(s.out)), 1.0f);
    if (sites_[step] == i && !batch_.noise.empty()) {
      const DropoutRow row =
          dropout_.row(batch_.noise[sequence_of(r)], static_cast<int32_t>(step), batch_.positions[r]);
      reference_gradients().dropout_factors(row, 0, width(s.out), factors.data());
    }
    return {factors.begin(), factors.end()};
  }
  size_t sequence_of(size_t row) const {
    size_t b = 0;
    while (static_cast<size_t>(batch_.starts[b + 1]) <= row) ++b;
    return b;
  }
  size_t start_of(size_t row) const { return static_cast<size_t>(batch_.starts[sequence_of(row)]); }
  size_t length_of(size_t row) const {
    const size_t b = sequence_of(row);
    return static_cast<size_t>(batch_.starts[b + 1] - batch_.starts[b]);
  }

  void run(const Step& s) {
    for (size_t r = 0; r < rows(s.out); ++r) run_row(s, r);
  }
  void run_row(const Step& s, size_t r) {
    const int64_t n = width(s.out);
    switch (s.op) {
      case Op::embed: {
        const Values factors = kept(s, 0, r);
        for (int64_t c = 0; c < n; ++c)
          at(s.out, r, c) = param(s.weight, batch_.tokens[r] * n + c) * factors[static_cast<size_t>(c)];
        return;
      }
      case Op::rms_norm:
      case Op::layer_norm:
        return norm(s, r);
      case Op::linear:
        for (int64_t c = 0; c < n; ++c) {
          double sum = param(s.bias, c);
          for (int64_t k = 0; k < width(s.in[0]); ++k)
            sum += param(s.weight, c * width(s.in[0]) + k) * at(s.in[0], r, k);
          at(s.out, r, c) = sum;
        }
        return;
      case Op::rope:
        return rope(s, r);
      case Op::attention:
        return attention(s, r);
      case Op::silu_mul:
      case Op::gelu_tanh_mul:
      case Op::gelu_mul:
        for (int64_t c = 0; c < n; ++c) at(s.out, r, c) = activation(s.op, at(s.in[0], r, c)) * at(s.in[1], r, c);
        return;
      case Op::add: {
        const Values first = kept(s, 0, r), second = kept(s, 1, r);
        for (int64_t c = 0; c < n; ++c) {
          const auto i = static_cast<size_t>(c);
          at(s.out, r, c) = at(s.in[0], r, c) * first[i] + at(s.in[1], r, c) * second[i];
        }
        return;
      }
      case Op::scale:
        for (int64_t c = 0; c < n; ++c) at(s.out, r, c) = at(s.in[0], r, c) * s.attr.factor;
        return;
      case Op::gain:
        for (int64_t c = 0; c < n; ++c) {
          const Values& divisor = divisors_[static_cast<size_t>(s.weight)];
          const double weight = param(s.weight, c) / (divisor.empty() ? 1 : divisor[static_cast<size_t>(c)]);
          at(s.out, r, c) = at(s.in[0], r, c) * weight + param(s.bias, c);
        }
        return;
      case Op::softcap:
        for (int64_t c = 0; c < n; ++c)
          at(s.out, r, c) = s.attr.softcap * std::tanh(at(s.in[0], r, c) / s.attr.softcap);
        return;
      case Op::select:
        for (int64_t c = 0; c < n; ++c) at(s.out, r, c) = at(s.in[0], outputs_[r], c);
        return;
    }
  }
  void norm(const Step& s, size_t r) {
    const int64_t D = s.attr.heads > 0 ? s.attr.head_width : width(s.out);
    for (int64_t c0 = 0; c0 < width(s.out); c0 += D) {
      double mean = 0, squares = 0;
      for (int64_t c = 0; c < D && s.op == Op::layer_norm; ++c) mean += at(s.in[0], r, c0 + c) / static_cast<double>(D);
      for (int64_t c = 0; c < D; ++c) squares += std::pow(at(s.in[0], r, c0 + c) - mean, 2) / static_cast<double>(D);
      for (int64_t c = 0; c < D; ++c) {
        const double normal = (at(s.in[0], r, c0 + c) - mean) / std::sqrt(squares + s.attr.eps);
        at(s.out, r, c0 + c) = normal * (s.weight == kNone ? 1 : param(s.weight, c)) + param(s.bias, c);
      }
    }
  }
  void rope(const Step& s, size_t r) {
    const RopeTable& table = p_.ropes[static_cast<size_t>(s.attr.rope)];
    const bool of_long = !table.long_freq.empty() && static_cast<int64_t>(length_of(r)) > table.original_context;
    for (int64_t h = 0; h < s.attr.heads; ++h)
      for (int64_t c = 0; c < s.attr.head_width; ++c) {
        const int64_t half = s.attr.rotary / 2, base = h * s.attr.head_width;
        at(s.out, r, base + c) = at(s.in[0], r, base + c);
        if (c >= half) continue;
      }
    for (int64_t h = 0; h < s.attr.heads; ++h)
      for (int64_t j = 0; j < s.attr.rotary / 2; ++j) {
        const int64_t base = h * s.attr.head_width;
        const int64_t i0 = base + (s.attr.interleaved ? 2 * j : j),
                      i1 = base + (s.attr.interleaved ? 2 * j + 1 : j + s.attr.rotary / 2);
        const double angle =
            double{(of_long ? table.long_freq : table.freq)[static_cast<size_t>(j)]} * batch_.positions[r];
        const double a = at(s.in[0], r, i0), b = at(s.in[0], r, i1), m = table.magnitude;
        at(s.out, r, i0) = m * (a * std::cos(angle) - b * std::sin(angle));
        at(s.out, r, i1) = m * (a * std::sin(angle) + b * std::cos(angle));
      }
  }
  void attention(const Step& s, size_t r) {
    const int64_t D = s.attr.head_width, group = s.attr.heads / s.attr.kv_heads;
    const size_t first = start_of(r), end = s.attr.causal ? r + 1 : first + length_of(r);
    const size_t begin = s.attr.window > 0 && r + 1 > first + static_cast<size_t>(s.attr.window)
                             ? r + 1 - static_cast<size_t>(s.attr.window)
                             : first;
    for (int64_t h = 0; h < s.attr.heads; ++h) {
      Values weights;
      double total = 0;
      for (size_t t = begin; t < end; ++t) {
        double score = 0;
        for (int64_t d = 0; d < D; ++d) score += at(s.in[0], r, h * D + d) * at(s.in[1], t, h / group * D + d);
        score *= s.attr.scale;
        if (s.attr.softcap > 0) score = s.attr.softcap * std::tanh(score / s.attr.softcap);
        weights.push_back(std::exp(score));
        total += weights.back();
      }
      for (int64_t d = 0; d < D; ++d) {
        double sum = 0;
        for (size_t t = begin; t < end; ++t) sum += weights[t - begin] / total * at(s.in[2], t, h / group * D + d);
        at(s.out, r, h * D + d) = sum;
      }
    }
  }

  const Program& p_;
  const std::vector<Values>& params_;
  const std::vector<Values>& divisors_;
  const Batch& batch_;
  const Dropout& dropout_;
  std::vector<int8_t> sites_;
  std::vector<size_t> outputs_;
  std::vector<Values> slots_;
};

/// Writes small programs step by step.
struct Writer {
  ProgramStorage p;
  SlotId slot(int32_t width, Rows rows = Rows::tokens) {
    p.slots.push_back({width, kNone, 0, rows});
    return static_cast<SlotId>(p.slots.size() - 1);
  }
  SlotId view(SlotId base, int32_t offset, int32_t width) {
    p.slots.push_back({width, base, offset, p.slots[static_cast<size_t>(base)].rows});
    return static_cast<SlotId>(p.slots.size() - 1);
  }
  ParamId param(Shape shape, ParamKind kind) {
    p.params.push_back({.gguf = "p" + std::to_string(p.params.size()),
                        .hf = "p" + std::to_string(p.params.size()),
                        .shape = shape,
                        .kind = kind});
    p.shapes.push_back({shape});
    return static_cast<ParamId>(p.params.size() - 1);
  }
  int32_t width(SlotId s) const { return p.slots[static_cast<size_t>(s)].width; }
  Rows rows(SlotId s) const { return p.slots[static_cast<size_t>(s)].rows; }
  int16_t layer = kNone;

  SlotId step(Op op, std::vector<SlotId> in, int32_t out_width, Attr attr = {}, ParamId weight = kNone,
              ParamId bias = kNone) {
    Step s{.op = op, .layer = layer, .weight = weight, .bias = bias, .attr = attr};
    for (size_t i = 0; i < in.size(); ++i) s.in[i] = in[i];
    s.out = slot(out_width, op == Op::select ? Rows::outputs : in.empty() ? Rows::tokens : rows(in[0]));
    p.steps.push_back(s);
    return s.out;
  }
  SlotId linear(SlotId x, int32_t n, bool bias = false) {
    const ParamId w = param({n, width(x)}, ParamKind::linear);
    return step(Op::linear, {x}, n, {}, w, bias ? param({n}, ParamKind::bias) : kNone);
  }
  SlotId norm(SlotId x, int32_t heads = 0) {
    const int32_t n = heads > 0 ? width(x) / heads : width(x);
    return step(Op::rms_norm, {x}, width(x), {.eps = 1e-5f, .heads = heads, .head_width = heads > 0 ? n : 0},
                param({n}, ParamKind::norm));
  }
  SlotId layer_norm(SlotId x) {
    const ParamId w = param({width(x)}, ParamKind::norm);
    return step(Op::layer_norm, {x}, width(x), {.eps = 1e-5f}, w, param({width(x)}, ParamKind::bias));
  }
  SlotId embed(int32_t V, int32_t C) { return step(Op::embed, {}, C, {}, param({V, C}, ParamKind::embedding)); }
  int32_t rope_table(std::vector<float> freq, std::vector<float> long_freq = {}, int64_t original = 0,
                     float magnitude = 1) {
    p.rope_values.push_back(std::move(freq));
    const std::span<const float> usual = p.rope_values.back();
    p.rope_values.push_back(std::move(long_freq));
    p.ropes.push_back({usual, p.rope_values.back(), original, magnitude});
    return static_cast<int32_t>(p.ropes.size() - 1);
  }
  SlotId attention(SlotId q, SlotId k, SlotId v, Attr attr) {
    attr.kv_layer = p.kv_layers++;
    p.kv_heads = attr.kv_heads;
    p.head_width = attr.head_width;
    attr.scale = 1 / std::sqrt(static_cast<float>(attr.head_width));
    return step(Op::attention, {q, k, v}, attr.heads * attr.head_width, attr);
  }
  void finish(SlotId x, int32_t V) {
    layer = kNone;
    p.hidden = norm(step(Op::select, {x}, width(x)));
    p.logits = linear(p.hidden, V);
  }
};

constexpr int32_t kV = 19, kC = 20;

Batch test_batch() {
  std::mt19937 random(3);
  std::vector<Sample> samples;
  for (int length : {53, 1, 9}) {
    Sample s;
    for (int i = 0; i < length; ++i) s.ids.push_back(static_cast<int32_t>(random() % kV));
    s.labels = s.ids;
    for (int i = 0; i < length; i += 3) s.labels[static_cast<size_t>(i)] = kIgnore;
    samples.push_back(s);
  }
  return make_batch(samples);
}

/// Lengths of the rows of W + scale B A, for the magnitudes of DoRA.
std::vector<Values> row_norms(const ProgramStorage& program, const std::vector<Values>& values) {
  std::vector<Values> out(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const AdaptedRows& rows = program.params[i].norms;
    if (rows.base == kNone) continue;
    const Values &w = values[static_cast<size_t>(rows.base)], &a = values[static_cast<size_t>(rows.a)],
                 &b = values[static_cast<size_t>(rows.b)];
    const size_t N = values[i].size(), K = w.size() / N, R = a.size() / K;
    for (size_t n = 0; n < N; ++n) {
      double squares = 0;
      for (size_t k = 0; k < K; ++k) {
        double sum = w[n * K + k];
        for (size_t r = 0; r < R; ++r) sum += double{rows.scale} * b[n * R + r] * a[r * K + k];
        squares += sum * sum;
      }
      out[i].push_back(std::sqrt(squares));
    }
  }
  return out;
}

/// The derivative of every parameter along a random direction, in double, against the walk's.
void check_gradients(const ProgramStorage& program, const std::string& kernels, double rate = 0) {
  ASSERT_TRUE(validate(program.view()).ok()) << validate(program.view()).text();
  Batch batch = test_batch();
  if (rate > 0) batch.noise = {1, 2, 3};
  const Dropout dropout = *Dropout::create(rate);
  Ledger ledger;
  auto parameters = Parameters::random(program, 11, ledger);
  ASSERT_TRUE(parameters.ok());
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<Values> values;
  for (Parameter& p : parameters->all()) {
    const float deviation = p.shape.rank == 2 ? 1 / std::sqrt(static_cast<float>(p.shape[1])) : 0.3f;
    for (float& x : p.values) x = (p.decay || x == 0 ? 0.0f : 1.0f) + deviation * normal(random);
    values.emplace_back(p.values.begin(), p.values.end());
  }
  const std::vector<Values> norms = row_norms(program, values);  // constants of a step
  // One random direction for each parameter, and the derivative along it.
  std::vector<Values> directions;
  std::vector<double> want;
  for (size_t i = 0; i < values.size(); ++i) {
    Values& along = directions.emplace_back(values[i].size());
    for (double& x : along) x = normal(random);
    constexpr double kStep = 1e-5;
    double ends[2];
    for (int sign : {0, 1}) {
      auto moved = values;
      for (size_t j = 0; j < along.size(); ++j) moved[i][j] += (sign == 0 ? -kStep : kStep) * along[j];
      ends[sign] = DoubleWalk(program.view(), moved, norms, batch, dropout).loss();
    }
    want.push_back((ends[1] - ends[0]) / (2 * kStep));
  }
  const double want_loss = DoubleWalk(program.view(), values, norms, batch, dropout).loss();
  ThreadPool pool(2);
  for (const Checkpointing checkpointing : {Checkpointing::none, Checkpointing::activations, Checkpointing::layers}) {
    auto graph = Graph::create(
        program, *parameters,
        {.parallel = pool.parallel(), .checkpointing = checkpointing, .kernels = kernels, .dropout = rate}, ledger);
    ASSERT_TRUE(graph.ok()) << graph.status().text();
    parameters->zero_gradients(pool.parallel());
    const auto loss = graph->backward(batch, 1.0);
    ASSERT_TRUE(loss.ok()) << loss.status().text();
    EXPECT_NEAR(loss->sum, want_loss, 1e-5 * want_loss);
    for (size_t i = 0; i < values.size(); ++i) {
      const Parameter& p = parameters->all()[i];
      double got = 0, size = 0;
      for (size_t j = 0; j < directions[i].size(); ++j) {
        got += directions[i][j] * p.gradient[j];
        size += p.gradient[j] * p.gradient[j];
      }
      // A derivative along an N(0, 1) direction is of the size of the gradient's norm.
      EXPECT_NEAR(got, want[i], 1e-4 * std::sqrt(size) + 1e-6) << p.name;
    }
  }
}

class OperatorGradients : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (find_kernels(GetParam().c_str()) == nullptr) GTEST_SKIP() << "this processor has no " << GetParam();
  }
};

TEST_P(OperatorGradients, NormsAndElementwise) {
  Writer w;
  SlotId x = w.step(Op::scale, {w.embed(kV, kC)}, kC, {.factor = 1.7f});
  w.layer = 0;
  x = w.step(Op::add, {x, w.linear(w.layer_norm(x), kC, true)}, kC);
  w.layer = 1;
  x = w.step(Op::add, {w.step(Op::scale, {w.norm(x)}, kC, {.factor = 0.5f}), x}, kC);
  x = w.step(Op::softcap, {x}, kC, {.softcap = 1.5f});
  x = w.step(Op::add, {x, x}, kC);
  x = w.step(Op::rms_norm, {x}, kC, {.eps = 1e-4f});
  w.finish(w.norm(x, 4), kV);
  w.p.logits = w.step(Op::softcap, {w.step(Op::scale, {w.p.logits}, kV, {.factor = 0.7f})}, kV, {.softcap = 3.0f});
  check_gradients(w.p, GetParam());
}

TEST_P(OperatorGradients, GatedActivations) {
  for (const Op op : {Op::silu_mul, Op::gelu_tanh_mul, Op::gelu_mul}) {
    Writer w;
    SlotId x = w.embed(kV, kC);
    w.layer = 0;
    const SlotId both = w.linear(x, 2 * 35);  // gate and up in one product, as phi-3 has them
    x = w.step(Op::add, {x, w.linear(w.step(op, {w.view(both, 0, 35), w.view(both, 35, 35)}, 35), kC)}, kC);
    w.layer = 1;
    x = w.step(Op::add, {w.linear(w.step(op, {w.linear(x, 17), w.linear(x, 17)}, 17), kC), x}, kC);
    const SlotId gate = w.linear(x, kC);
    x = w.step(op, {gate, gate}, kC);
    w.finish(x, kV);
    check_gradients(w.p, GetParam());
  }
}

TEST_P(OperatorGradients, RopeAndAttention) {
  const Attr attentions[] = {
      {.heads = 4, .kv_heads = 2, .head_width = 10},
      {.heads = 2, .kv_heads = 2, .head_width = 18, .window = 7},
      {.softcap = 2.0f, .heads = 3, .kv_heads = 1, .head_width = 12, .window = 20},
      {.heads = 2, .kv_heads = 1, .head_width = 34, .causal = false},
  };
  for (const Attr& attr : attentions) {
    Writer w;
    SlotId x = w.embed(kV, kC);
    const int32_t plain = w.rope_table({1.0f, 0.3f, 0.1f}), scaled = w.rope_table({0.9f, 0.2f}, {0.5f, 0.05f}, 9, 1.2f);
    for (int layer = 0; layer < 2; ++layer) {
      w.layer = static_cast<int16_t>(layer);
      const int32_t qw = attr.heads * attr.head_width, kvw = attr.kv_heads * attr.head_width;
      SlotId q, k, v;
      if (layer == 0) {
        q = w.linear(x, qw);
        k = w.linear(x, kvw, true);
        v = w.linear(x, kvw);
      } else {  // one product, as phi-3 has it
        const SlotId all = w.linear(x, qw + 2 * kvw);
        q = w.view(all, 0, qw);
        k = w.view(all, qw, kvw);
        v = w.view(all, qw + kvw, kvw);
      }
      q = w.step(Op::rope, {w.norm(q, attr.heads)}, qw,
                 {.heads = attr.heads, .head_width = attr.head_width, .rotary = 6, .rope = plain});
      k = w.step(Op::rope, {k}, kvw,
                 {.heads = attr.kv_heads,
                  .head_width = attr.head_width,
                  .rotary = 4,
                  .rope = scaled,
                  .interleaved = layer == 0});
      x = w.step(Op::add, {x, w.linear(w.attention(q, k, v, attr), kC)}, kC);
    }
    w.finish(x, kV);
    check_gradients(w.p, GetParam());
  }
}

// Views that overlap or leave columns unread: their gradients add up, and what nobody reads gets none.
TEST_P(OperatorGradients, ViewsThatOverlap) {
  Writer w;
  const SlotId all = w.linear(w.embed(kV, kC), 3 * kC);
  w.layer = 0;
  const SlotId sum = w.step(Op::add, {w.view(all, 0, kC), w.view(all, kC / 2, kC)}, kC);
  w.finish(w.step(Op::add, {sum, w.step(Op::scale, {w.view(all, 0, kC)}, kC, {.factor = 2.0f})}, kC), kV);
  check_gradients(w.p, GetParam());
}

TEST_P(OperatorGradients, SharedParametersAddUp) {
  Writer w;
  const SlotId embedded = w.embed(kV, kC);
  const ParamId shared = w.param({kC, kC}, ParamKind::linear);
  w.layer = 0;
  SlotId x = w.step(Op::linear, {embedded}, kC, {}, shared);
  x = w.step(Op::linear, {w.norm(x)}, kC, {}, shared);
  w.layer = kNone;
  w.p.hidden = w.norm(w.step(Op::select, {x}, kC));
  w.p.logits = w.step(Op::linear, {w.p.hidden}, kV, {}, 0);  // the embedding
  check_gradients(w.p, GetParam());
}

/// A pair of rank 3, without magnitudes, on every linear weight of the layers.
Adapter layer_adapter(const ProgramStorage& program) {
  Adapter adapter;
  for (const Step& s : program.steps) {
    if (s.op != Op::linear || s.layer == kNone) continue;
    const Shape shape = program.params[static_cast<size_t>(s.weight)].shape;
    const auto values = [](int64_t n) { return std::vector<float>(static_cast<size_t>(n), 0.1f); };
    adapter.pairs.push_back({.base = s.weight,
                             .R = 3,
                             .scale = 0.7f,
                             .a = values(3 * shape[1]),
                             .b = values(shape[0] * 3),
                             .magnitude = {}});
  }
  return adapter;
}

// DoRA on a weight with a bias and on one without, where the gain is in place, and where its input has another reader.
TEST_P(OperatorGradients, MagnitudesAndGains) {
  Writer w;
  SlotId x = w.embed(kV, kC);
  w.layer = 0;
  x = w.step(Op::add, {x, w.linear(x, kC, true)}, kC);
  w.layer = 1;
  x = w.norm(w.linear(x, 2 * kC));
  const ParamId plain = w.param({2 * kC}, ParamKind::norm);
  x = w.step(Op::add, {w.step(Op::gain, {x}, 2 * kC, {}, plain, w.param({2 * kC}, ParamKind::bias)), x}, 2 * kC);
  w.finish(w.linear(x, kC), kV);
  Adapter adapter = layer_adapter(w.p);
  for (LoraPair& pair : adapter.pairs) pair.magnitude.assign(pair.b.size() / static_cast<size_t>(pair.R), 0.1f);
  ASSERT_TRUE(apply_adapter(w.p, adapter, AdapterUse::train).ok());
  check_gradients(w.p, GetParam());
}

// A scaled embedding, branches with a bias and without, after their stream and before it, one after the other from one x, and
// adapters in them.
TEST_P(OperatorGradients, Dropout) {
  Writer w;
  SlotId x = w.step(Op::scale, {w.embed(kV, kC)}, kC, {.factor = 1.7f});
  w.layer = 0;
  x = w.step(Op::add, {x, w.linear(w.norm(x), kC, true)}, kC);
  x = w.step(Op::add, {x, w.linear(x, kC)}, kC);
  w.layer = 1;
  x = w.step(Op::add, {w.linear(w.norm(x), kC), x}, kC);
  const SlotId one = w.linear(x, kC), other = w.step(Op::silu_mul, {w.linear(x, kC), w.linear(x, kC)}, kC);
  x = w.step(Op::add, {w.step(Op::add, {x, one}, kC), w.step(Op::scale, {other}, kC, {.factor = 0.5f})}, kC);
  w.finish(x, kV);
  check_gradients(w.p, GetParam(), 0.3);
  const Adapter adapter = layer_adapter(w.p);
  ASSERT_TRUE(apply_adapter(w.p, adapter, AdapterUse::train).ok());
  check_gradients(w.p, GetParam(), 0.3);
}

INSTANTIATE_TEST_SUITE_P(Rows, OperatorGradients, testing::ValuesIn(kernel_names()),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace kinglet::train
