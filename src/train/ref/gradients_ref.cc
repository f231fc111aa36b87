// The reference: slow and readable, sums in double.
#include <algorithm>
#include <cmath>

#include "train/kernels.h"

namespace kinglet::train {
namespace {

void write(float* out, double value, bool add) { *out = static_cast<float>(add ? *out + value : value); }

void product(const ProductBlock& p) {
  constexpr int64_t kColumns = 16;
  for (int64_t m = 0; m < p.M; ++m)
    for (int64_t n = 0; n < p.N; ++n) {
      const float* b = p.b + n / kColumns * p.b_panel + n % kColumns;
      double sum = 0;
      for (int64_t k = 0; k < p.K; ++k) sum += double{p.a[m * p.a_row + k * p.a_column]} * double{b[k * p.b_row]};
      float& c = p.c[m * p.c_row + n];
      c = p.add ? c + static_cast<float>(sum) : static_cast<float>(sum);  // rounded as if added by a step of its own
    }
}

void transpose(const float* x, int64_t x_row, int64_t rows, int64_t columns, float* out, int64_t out_row) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) out[j * out_row + i] = x[i * x_row + j];
}

void rms_norm(const NormRow& row, const float* dy, float* dx, bool add, float* dweight) {
  const auto count = static_cast<double>(row.n);
  double squares = 0, inner = 0;
  for (int64_t i = 0; i < row.n; ++i) {
    squares += double{row.x[i]} * row.x[i];
    inner += double{dy[i]} * (row.weight != nullptr ? row.weight[i] : 1.0f) * row.x[i];
  }
  const double factor = 1.0 / std::sqrt(squares / count + row.eps);
  for (int64_t i = 0; i < row.n; ++i) {
    const double g = dy[i], weight = row.weight != nullptr ? row.weight[i] : 1.0f;
    if (dweight != nullptr) dweight[i] += static_cast<float>(g * row.x[i] * factor);
    if (dx != nullptr) write(dx + i, factor * (g * weight - row.x[i] * factor * factor * inner / count), add);
  }
}

void layer_norm(const NormRow& row, const float* dy, float* dx, bool add, float* dweight, float* dbias) {
  const auto count = static_cast<double>(row.n);
  double mean = 0, squares = 0, total = 0, inner = 0;
  for (int64_t i = 0; i < row.n; ++i) mean += row.x[i] / count;
  for (int64_t i = 0; i < row.n; ++i) squares += (row.x[i] - mean) * (row.x[i] - mean);
  const double factor = 1.0 / std::sqrt(squares / count + row.eps);
  const auto weighted = [&](int64_t i) { return double{dy[i]} * (row.weight != nullptr ? row.weight[i] : 1.0f); };
  for (int64_t i = 0; i < row.n; ++i) {
    total += weighted(i) / count;
    inner += weighted(i) * (row.x[i] - mean) * factor / count;
  }
  for (int64_t i = 0; i < row.n; ++i) {
    const double g = dy[i], normal = (row.x[i] - mean) * factor;
    const double slope = factor * (weighted(i) - total - normal * inner);
    if (dweight != nullptr) dweight[i] += static_cast<float>(g * normal);
    if (dbias != nullptr) dbias[i] += static_cast<float>(g);
    if (dx != nullptr) write(dx + i, slope, add);
  }
}

struct Activation {
  double value, slope;
};

template <class F>
void gated(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add,
           const F& act) {
  for (int64_t i = 0; i < n; ++i) {
    const double g = dy[i], u = up[i];
    const Activation a = act(gate[i]);
    if (dgate != nullptr) write(dgate + i, g * u * a.slope, add);
    if (dup != nullptr) write(dup + i, g * a.value, add);
  }
}

Activation silu(double x) {
  const double gate = 1.0 / (1.0 + std::exp(-x));
  return {x * gate, gate * (1.0 + x * (1.0 - gate))};
}

Activation gelu_tanh(double x) {
  const double factor = std::sqrt(2.0 / M_PI), t = std::tanh(factor * (x + 0.044715 * x * x * x));
  const double slope = factor * (1.0 + 3 * 0.044715 * x * x);
  return {0.5 * x * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope};
}

Activation gelu(double x) {
  const double below = 0.5 * std::erfc(-x * std::sqrt(0.5));
  return {x * below, below + x * std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI)};
}

void silu_mul(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add) {
  gated(gate, up, dy, n, dgate, dup, add, silu);
}
void gelu_tanh_mul(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add) {
  gated(gate, up, dy, n, dgate, dup, add, gelu_tanh);
}
void gelu_mul(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add) {
  gated(gate, up, dy, n, dgate, dup, add, gelu);
}

void softcap(const float* y, const float* dy, float cap, int64_t n, float* dx, bool add) {
  for (int64_t i = 0; i < n; ++i) {
    const double t = double{y[i]} / cap;
    write(dx + i, dy[i] * (1.0 - t * t), add);
  }
}

void add_scaled(const float* x, float factor, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

float dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{a[i]} * b[i];
  return static_cast<float>(sum);
}

#include "train/simd/dropout.inl"

void sum_exp(const float* x, int64_t n, float* max, float* sum) {
  *max = *std::max_element(x, x + n);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += std::exp(double{x[i]} - *max);
  *sum = static_cast<float>(total);
}

void scaled_exp(float* x, int64_t n, float shift, float factor) {
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(factor * std::exp(double{x[i]} - shift));
}

float capped(const ScoreRow& row, float s) {
  const double scaled = double{s} * row.scale;
  return static_cast<float>(row.softcap > 0 ? row.softcap * std::tanh(scaled / row.softcap) : scaled);
}

void attention_weights(const ScoreRow& row, float* s, float* max, float* sum) {
  *max = -INFINITY;
  for (int64_t i = row.begin; i < row.end; ++i) {
    s[i] = capped(row, s[i]);
    *max = std::max(*max, s[i]);
  }
  double total = 0;
  for (int64_t i = 0; i < row.width; ++i) {
    s[i] = i < row.begin || i >= row.end ? 0.0f : static_cast<float>(std::exp(double{s[i]} - *max));
    total += s[i];
  }
  *sum = static_cast<float>(total);
}

void attention_probabilities(const ScoreRow& row, float shift, float* s, float* p) {
  for (int64_t i = 0; i < row.width; ++i) {
    const float c = capped(row, s[i]);
    if (row.softcap > 0) s[i] = c;
    p[i] = i < row.begin || i >= row.end ? 0.0f : static_cast<float>(std::exp(double{c} - shift));
  }
}

void attention_scores(const ScoreRow& row, float delta, const float* p, const float* c, float* dp) {
  for (int64_t i = 0; i < row.width; ++i) {
    double ds = double{p[i]} * (double{dp[i]} - delta) * row.scale;
    if (row.softcap > 0) ds *= 1.0 - double{c[i]} / row.softcap * (double{c[i]} / row.softcap);
    dp[i] = static_cast<float>(ds);
  }
}

}  // namespace

const GradientKernels& reference_gradients() {
  static const GradientKernels table{.panel_columns = 16,
                                     .product = product,
                                     .transpose = transpose,
                                     .rms_norm = rms_norm,
                                     .layer_norm = layer_norm,
                                     .silu_mul = silu_mul,
                                     .gelu_tanh_mul = gelu_tanh_mul,
                                     .gelu_mul = gelu_mul,
                                     .softcap = softcap,
                                     .add_scaled = add_scaled,
                                     .dot = dot,
                                     .dropout_factors = dropout_factors,
                                     .sum_exp = sum_exp,
                                     .scaled_exp = scaled_exp,
                                     .attention_weights = attention_weights,
                                     .attention_probabilities = attention_probabilities,
                                     .attention_scores = attention_scores};
  return table;
}

}  // namespace kinglet::train
