// Norms, rotary embedding, gated activations and elementwise steps: slow and readable. Means are summed in double.
#include <cmath>

#include "kernels/rows.h"

namespace kinglet {
namespace {

void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const auto factor = static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(n) + eps));
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * factor * (weight != nullptr ? weight[i] : 1.0f);
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* out) {
  double total = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) total += x[i];
  const double mean = total / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double factor = 1.0 / std::sqrt(squares / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i) {
    const auto normal = static_cast<float>((x[i] - mean) * factor);
    out[i] = normal * (weight != nullptr ? weight[i] : 1.0f) + (bias != nullptr ? bias[i] : 0.0f);
  }
}

/// Turns the point (a, b) by the angle whose cosine and sine are given.
void turn(float& a, float& b, float cosine, float sine) {
  const float turned = a * cosine - b * sine;
  b = a * sine + b * cosine;
  a = turned;
}

void rope_half(float* x, int64_t heads, int64_t D, int64_t rotary, const float* cos, const float* sin) {
  const int64_t half = rotary / 2;
  for (int64_t h = 0; h < heads; ++h, x += D)
    for (int64_t i = 0; i < half; ++i) turn(x[i], x[i + half], cos[i], sin[i]);
}

void rope_interleaved(float* x, int64_t heads, int64_t D, int64_t rotary, const float* cos, const float* sin) {
  for (int64_t h = 0; h < heads; ++h, x += D)
    for (int64_t i = 0; i < rotary / 2; ++i) turn(x[2 * i], x[2 * i + 1], cos[i], sin[i]);
}

void silu_mul(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void gelu_tanh_mul(const float* gate, const float* up, int64_t n, float* out) {
  constexpr float kSqrt2OverPi = 0.797884560802865f;
  for (int64_t i = 0; i < n; ++i) {
    const float g = gate[i];
    out[i] = 0.5f * g * (1.0f + std::tanh(kSqrt2OverPi * (g + 0.044715f * g * g * g))) * up[i];
  }
}

void gelu_mul(const float* gate, const float* up, int64_t n, float* out) {
  constexpr float kSqrtHalf = 0.707106781186548f;
  // erfc keeps its accuracy where 1 + erf would cancel.
  for (int64_t i = 0; i < n; ++i) out[i] = 0.5f * gate[i] * std::erfc(-gate[i] * kSqrtHalf) * up[i];
}

void add(const float* a, const float* b, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void scale(const float* x, float factor, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * factor;
}

void gain(const float* x, const float* weight, const float* bias, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * weight[i] + (bias == nullptr ? 0.0f : bias[i]);
}

void softcap(const float* x, float cap, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = cap * std::tanh(x[i] / cap);
}

}  // namespace

void fill_ref_vector(KernelTable& table) {
  table.vectors = Vectors::none;
  table.rms_norm = rms_norm;
  table.layer_norm = layer_norm;
  table.rope_half = rope_half;
  table.rope_interleaved = rope_interleaved;
  table.silu_mul = silu_mul;
  table.gelu_tanh_mul = gelu_tanh_mul;
  table.gelu_mul = gelu_mul;
  table.add = add;
  table.scale = scale;
  table.gain = gain;
  table.softcap = softcap;
  fill_ref_attention(table);
}

}  // namespace kinglet
