// f32 to K-quants. The searches for scales and minimums, their order of floating-point operations included, are those of
// ggml's reference quantizer without an importance matrix, so files come out equal bit for bit.
#include <bit>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "kernels/ref/quantize.h"
#include "tensor/blocks.h"

namespace kinglet {
namespace {

constexpr float kTiny = 1e-15f;  ///< a group whose largest magnitude is below counts as zero
constexpr int kSmall = 16;       ///< values of the sub-blocks of Q2_K, Q3_K and Q6_K

/// Nearest integer, halves to even, for |x| < 2^22: the sum's mantissa ends at the units.
int nearest(float x) { return static_cast<int>(std::bit_cast<uint32_t>(x + 12582912.0f) & 0x7fffffu) - 0x400000; }

int clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

/// x ~ scale q + min' with min' = -min <= 0.
struct ScaledMin {
  float scale, min;
};

/// How fit_with_min searches: inverse scales (first + step * i + q_max) / range for i in [0, steps].
struct Search {
  float first, step;
  int steps;
  bool absolute;  ///< the error is sum w |e|, else sum w e^2
};

struct Sums {
  float w, x;  ///< sum of weights, of weights * values
};

float weighted_error(const float* x, const float* w, const uint8_t* q, int n, float scale, float min, bool absolute) {
  float error = 0;
  for (int i = 0; i < n; ++i) {
    float diff = scale * static_cast<float>(q[i]) + min - x[i];
    diff = absolute ? std::fabs(diff) : diff * diff;
    error += w[i] * diff;
  }
  return error;
}

/// One candidate: rounds with the inverse scale, then the least-squares scale and minimum of those integers.
bool least_squares(const float* x, const float* w, int n, int q_max, float inverse, float low, const Sums& sums,
                   uint8_t* q, ScaledMin& fit) {
  float sum_l = 0, sum_l2 = 0, sum_xl = 0;
  for (int i = 0; i < n; ++i) {
    const int l = clamp(nearest(inverse * (x[i] - low)), 0, q_max);
    q[i] = static_cast<uint8_t>(l);
    const float lf = static_cast<float>(l);
    sum_l += w[i] * lf;
    sum_l2 += w[i] * lf * lf;
    sum_xl += w[i] * lf * x[i];
  }
  const float determinant = sums.w * sum_l2 - sum_l * sum_l;
  if (!(determinant > 0)) return false;
  fit.scale = (sums.w * sum_xl - sums.x * sum_l) / determinant;
  fit.min = (sum_l2 * sums.x - sum_l * sum_xl) / determinant;
  if (fit.min > 0) {
    fit.min = 0;
    fit.scale = sum_xl / sum_l2;
  }
  return true;
}

/// Best scale and (negated) minimum of n <= 32 values under weights w, integers in [0, q_max] to q.
ScaledMin fit_with_min(const float* x, const float* w, int n, int q_max, const Search& search, uint8_t* q) {
  float low = x[0], high = x[0];
  Sums sums{w[0], w[0] * x[0]};
  for (int i = 1; i < n; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
    sums.w += w[i];
    sums.x += w[i] * x[i];
  }
  if (low > 0) low = 0;
  if (high == low) {
    std::memset(q, 0, static_cast<size_t>(n));
    return {0, -low};
  }
  const float inverse = static_cast<float>(q_max) / (high - low);
  for (int i = 0; i < n; ++i) q[i] = static_cast<uint8_t>(clamp(nearest(inverse * (x[i] - low)), 0, q_max));
  ScaledMin best{1 / inverse, low};
  float best_error = weighted_error(x, w, q, n, best.scale, best.min, search.absolute);
  uint8_t trial[32];
  float min = low;  // candidates round from the best minimum so far
  for (int i = 0; i <= search.steps; ++i) {
    const float candidate =
        (search.first + search.step * static_cast<float>(i) + static_cast<float>(q_max)) / (high - min);
    ScaledMin fit;
    if (!least_squares(x, w, n, q_max, candidate, min, sums, trial, fit)) continue;
    const float error = weighted_error(x, w, trial, n, fit.scale, fit.min, search.absolute);
    if (error < best_error) {
      std::memcpy(q, trial, static_cast<size_t>(n));
      best_error = error;
      best = fit;
      min = fit.min;
    }
  }
  return {best.scale, -best.min};
}

/// The value of largest magnitude with its sign.
float signed_largest(const float* x, int n) {
  float magnitude = 0, value = 0;
  for (int i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      value = x[i];
    }
  }
  return value;
}

/// sum w x l and sum w l^2 with w = x^2 and l the integers that the inverse scale gives.
struct Products {
  float xl = 0, l2 = 0;
};
Products round_with(const float* x, int q_max, float inverse) {
  Products p;
  for (int i = 0; i < kSmall; ++i) {
    const float l = static_cast<float>(clamp(nearest(inverse * x[i]), -q_max, q_max - 1));
    const float w = x[i] * x[i];
    p.xl += w * x[i] * l;
    p.l2 += w * l * l;
  }
  return p;
}

/// Best scale of 16 values as integers in [-q_max, q_max), tried around the one that maps the largest to -q_max.
float fit_signed(const float* x, int q_max) {
  const float largest = signed_largest(x, kSmall);
  if (std::fabs(largest) < kTiny) return 0;
  Products p = round_with(x, q_max, static_cast<float>(-q_max) / largest);
  float scale = p.l2 != 0 ? p.xl / p.l2 : 0.0f;
  float best = scale * p.xl;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    p = round_with(x, q_max, -(static_cast<float>(q_max) + 0.1f * static_cast<float>(step)) / largest);
    if (p.l2 > 0 && p.xl * p.xl > best * p.l2) {
      scale = p.xl / p.l2;
      best = scale * p.xl;
    }
  }
  return scale;
}

/// As fit_signed for Q3_K: starts from plain rounding and improves one integer at a time, five rounds at most. Where a
/// sub-block's scale later rounds to zero its integers stay as found here (q, offset by q_max).
float fit_by_descent(const float* x, int q_max, int8_t* q) {
  const float largest = signed_largest(x, kSmall);
  if (std::fabs(largest) < kTiny) {
    std::memset(q, 0, kSmall);
    return 0;
  }
  const float inverse = static_cast<float>(-q_max) / largest;
  for (int i = 0; i < kSmall; ++i) q[i] = static_cast<int8_t>(clamp(nearest(inverse * x[i]), -q_max, q_max - 1));
  Products p = round_with(x, q_max, inverse);
  for (int round = 0; round < 5; ++round) {
    bool changed = false;
    for (int i = 0; i < kSmall; ++i) {
      const float w = x[i] * x[i], old = static_cast<float>(q[i]);
      Products without{p.xl - w * x[i] * old, p.l2 - w * old * old};
      if (!(without.xl > 0)) continue;
      const int l = clamp(nearest(x[i] * without.l2 / without.xl), -q_max, q_max - 1);
      if (l == q[i]) continue;
      without.xl += w * x[i] * static_cast<float>(l);
      without.l2 += w * static_cast<float>(l) * static_cast<float>(l);
      if (without.l2 > 0 && without.xl * without.xl * p.l2 > p.xl * p.xl * without.l2) {
        q[i] = static_cast<int8_t>(l);
        p = without;
        changed = true;
      }
    }
    if (!changed) break;
  }
  for (int i = 0; i < kSmall; ++i) q[i] = static_cast<int8_t>(q[i] + q_max);
  return p.l2 > 0 ? p.xl / p.l2 : 0.0f;
}

/// Rounds a sub-block with the scale and minimum as stored; integers in [low, high], stored offset by -low. A scale of zero
/// leaves what the search found.
template <typename Int>
void requantize(const float* x, int n, float d, float min, int low, int high, Int* q) {
  if (d == 0) return;
  for (int i = 0; i < n; ++i) q[i] = static_cast<Int>(clamp(nearest((x[i] + min) / d), low, high) - low);
}

float largest_of(const ScaledMin* fits, int n, float ScaledMin::*member) {
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = fits[i].*member > largest ? fits[i].*member : largest;
  return largest;
}

/// Two-bit integers as Q2_K and Q3_K store them.
template <typename Int>
void store_two_bits(const Int* q, uint8_t* qs) {
  for (int h = 0; h < 2; ++h) {
    for (int l = 0; l < 32; ++l) {
      const Int* v = q + 128 * h + l;
      qs[32 * h + l] = static_cast<uint8_t>((v[0] & 3) | (v[32] & 3) << 2 | (v[64] & 3) << 4 | (v[96] & 3) << 6);
    }
  }
}

void encode(const float* x, BlockQ2K& b) {
  constexpr Search kSearch{-0.5f, 0.1f, 15, true};
  uint8_t q[kSuperBlock];
  ScaledMin fits[16];
  for (int j = 0; j < 16; ++j) {
    float w[kSmall];
    for (int i = 0; i < kSmall; ++i) w[i] = std::fabs(x[16 * j + i]);
    fits[j] = fit_with_min(x + 16 * j, w, kSmall, 3, kSearch, q + 16 * j);
  }
  const float scale = largest_of(fits, 16, &ScaledMin::scale), min = largest_of(fits, 16, &ScaledMin::min);
  const float inverse_scale = scale > 0 ? 15.0f / scale : 0.0f, inverse_min = min > 0 ? 15.0f / min : 0.0f;
  b.d = f32_to_f16(scale / 15.0f);
  b.dmin = f32_to_f16(min / 15.0f);
  for (int j = 0; j < 16; ++j) {
    const int s = nearest(inverse_scale * fits[j].scale), m = nearest(inverse_min * fits[j].min);
    b.scales[j] = static_cast<uint8_t>(s | (m << 4));
    requantize(x + 16 * j, kSmall, f16_to_f32(b.d) * static_cast<float>(b.scales[j] & 15),
               f16_to_f32(b.dmin) * static_cast<float>(b.scales[j] >> 4), 0, 3, q + 16 * j);
  }
  store_two_bits(q, b.qs);
}

void encode(const float* x, BlockQ3K& b) {
  int8_t q[kSuperBlock];
  float scales[16];
  for (int j = 0; j < 16; ++j) scales[j] = fit_by_descent(x + 16 * j, 4, q + 16 * j);
  const float largest = signed_largest(scales, 16);
  std::memset(&b, 0, sizeof(b));
  if (largest != 0) {
    const float inverse = -32.0f / largest;
    for (int j = 0; j < 16; ++j) {
      const int l = clamp(nearest(inverse * scales[j]), -32, 31) + 32;
      b.scales[j % 8] = static_cast<uint8_t>(b.scales[j % 8] | (l & 15) << (j < 8 ? 0 : 4));
      b.scales[8 + j % 4] = static_cast<uint8_t>(b.scales[8 + j % 4] | (l >> 4) << (2 * (j / 4)));
    }
    b.d = f32_to_f16(1 / inverse);
  }
  for (int j = 0; j < 16; ++j) {
    const float d = f16_to_f32(b.d) * static_cast<float>(scale_q3k(j, b.scales));
    requantize(x + 16 * j, kSmall, d, 0.0f, -4, 3, q + 16 * j);
  }
  for (int i = 0; i < kSuperBlock; ++i)
    b.hmask[i % 32] = static_cast<uint8_t>(b.hmask[i % 32] | (q[i] >> 2) << (i / 32));
  store_two_bits(q, b.qs);
}

/// Scales and minimums of Q4_K and Q5_K to six bits, then the integers rounded with them.
template <typename Block>
void encode_with_min(const float* x, int q_max, const Search& search, Block& b, uint8_t* q) {
  ScaledMin fits[8];
  for (int j = 0; j < 8; ++j) {
    const float* xs = x + 32 * j;
    float sum = 0, w[32];
    for (int i = 0; i < 32; ++i) sum += xs[i] * xs[i];
    const float average = std::sqrt(sum / 32);
    for (int i = 0; i < 32; ++i) w[i] = average + std::fabs(xs[i]);
    fits[j] = fit_with_min(xs, w, 32, q_max, search, q + 32 * j);
  }
  const float scale = largest_of(fits, 8, &ScaledMin::scale), min = largest_of(fits, 8, &ScaledMin::min);
  const float inverse_scale = scale > 0 ? 63.0f / scale : 0.0f, inverse_min = min > 0 ? 63.0f / min : 0.0f;
  b.d = f32_to_f16(scale / 63.0f);
  b.dmin = f32_to_f16(min / 63.0f);
  for (int j = 0; j < 8; ++j) {
    const int s = clamp(static_cast<uint8_t>(nearest(inverse_scale * fits[j].scale)), 0, 63);
    const int m = clamp(static_cast<uint8_t>(nearest(inverse_min * fits[j].min)), 0, 63);
    if (j < 4) {
      b.scales[j] = static_cast<uint8_t>(s);
      b.scales[j + 4] = static_cast<uint8_t>(m);
    } else {
      b.scales[j + 4] = static_cast<uint8_t>((s & 15) | (m & 15) << 4);
      b.scales[j - 4] = static_cast<uint8_t>(b.scales[j - 4] | (s >> 4) << 6);
      b.scales[j] = static_cast<uint8_t>(b.scales[j] | (m >> 4) << 6);
    }
  }
  for (int j = 0; j < 8; ++j) {
    const ScaleMin sm = scale_min_k4(j, b.scales);
    requantize(x + 32 * j, 32, f16_to_f32(b.d) * static_cast<float>(sm.scale),
               f16_to_f32(b.dmin) * static_cast<float>(sm.min), 0, q_max, q + 32 * j);
  }
  for (int i = 0; i < 128; ++i) {
    const uint8_t* v = q + i / 32 * 64 + i % 32;
    b.qs[i] = static_cast<uint8_t>((v[0] & 15) | (v[32] & 15) << 4);
  }
}

void encode(const float* x, BlockQ4K& b) {
  uint8_t q[kSuperBlock];
  encode_with_min(x, 15, {-1.0f, 0.1f, 20, false}, b, q);
}

void encode(const float* x, BlockQ5K& b) {
  uint8_t q[kSuperBlock];
  encode_with_min(x, 31, {-0.5f, 0.1f, 15, false}, b, q);
  std::memset(b.qh, 0, sizeof(b.qh));
  for (int i = 0; i < kSuperBlock; ++i) b.qh[i % 32] = static_cast<uint8_t>(b.qh[i % 32] | (q[i] >> 4) << (i / 32));
}

void encode(const float* x, BlockQ6K& b) {
  std::memset(&b, 0, sizeof(b));
  float scales[16];
  for (int j = 0; j < 16; ++j) scales[j] = fit_signed(x + 16 * j, 32);
  const float largest = signed_largest(scales, 16);
  if (std::fabs(largest) < kTiny) return;
  const float inverse = -128.0f / largest;
  b.d = f32_to_f16(1 / inverse);
  int8_t q[kSuperBlock];
  for (int j = 0; j < 16; ++j) {
    const int s = nearest(inverse * scales[j]);
    b.scales[j] = static_cast<int8_t>(s < 127 ? s : 127);
    const float d = f16_to_f32(b.d) * static_cast<float>(b.scales[j]);
    const float found = scales[j] != 0 ? 1 / scales[j] : 0.0f;  // what remains where the stored scale is zero
    for (int i = 0; i < 16; ++i)
      q[16 * j + i] = static_cast<int8_t>(clamp(nearest(found * x[16 * j + i]), -32, 31) + 32);
    requantize(x + 16 * j, kSmall, d, 0.0f, -32, 31, q + 16 * j);
  }
  for (int i = 0; i < kSuperBlock; ++i) {
    const int h = i / 128, p = i % 128 / 32, l = i % 32;
    uint8_t& low = b.ql[64 * h + 32 * (p % 2) + l];
    uint8_t& high = b.qh[32 * h + l];
    low = static_cast<uint8_t>(low | (q[i] & 15) << (4 * (p / 2)));
    high = static_cast<uint8_t>(high | (q[i] >> 4) << (2 * p));
  }
}

template <typename Block>
void quantize(const float* x, int64_t n, std::byte* blocks) {
  for (int64_t i = 0; i < n / kSuperBlock; ++i) {
    Block block;
    encode(x + i * kSuperBlock, block);
    std::memcpy(blocks + i * static_cast<int64_t>(sizeof(Block)), &block, sizeof(Block));
  }
}

}  // namespace

void quantize_q2_k(const float* x, int64_t n, std::byte* blocks) { quantize<BlockQ2K>(x, n, blocks); }
void quantize_q3_k(const float* x, int64_t n, std::byte* blocks) { quantize<BlockQ3K>(x, n, blocks); }
void quantize_q4_k(const float* x, int64_t n, std::byte* blocks) { quantize<BlockQ4K>(x, n, blocks); }
void quantize_q5_k(const float* x, int64_t n, std::byte* blocks) { quantize<BlockQ5K>(x, n, blocks); }
void quantize_q6_k(const float* x, int64_t n, std::byte* blocks) { quantize<BlockQ6K>(x, n, blocks); }

}  // namespace kinglet
