// f32 to the nonlinear four-bit types. As in quantize_k.cc, the search is ggml's (seven steps to each side, no importance
// matrix), bit for bit.
#include <bit>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "kernels/ref/quantize.h"
#include "tensor/blocks.h"

namespace kinglet {
namespace {

constexpr float kTiny = 1e-15f;
constexpr int kSteps = 7;

/// Index of the table value nearest to x.
int nearest_index(float x) {
  if (x <= static_cast<float>(kIq4Values[0])) return 0;
  for (int i = 1; i < 16; ++i) {
    const float below = static_cast<float>(kIq4Values[i - 1]), above = static_cast<float>(kIq4Values[i]);
    if (x < above) return x - below < above - x ? i - 1 : i;
  }
  return 15;
}

/// sum w q x and sum w q^2 (w = x^2) over a block of 32 with the table values that the inverse scale picks.
struct Products {
  float qx = 0, q2 = 0;
};
Products round_with(const float* x, float inverse) {
  Products p;
  for (int i = 0; i < kBlock; ++i) {
    const float q = static_cast<float>(kIq4Values[nearest_index(inverse * x[i])]), w = x[i] * x[i];
    p.qx += w * q * x[i];
    p.q2 += w * q * q;
  }
  return p;
}

/// Best scale of a block of 32.
float fit(const float* x) {
  float magnitude = 0, largest = 0;
  for (int i = 0; i < kBlock; ++i) {
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      largest = x[i];
    }
  }
  if (magnitude < kTiny) return 0;
  const float first = static_cast<float>(kIq4Values[0]);
  const float start = -largest / first;
  Products p = round_with(x, 1 / start);
  float d = p.q2 > 0 ? p.qx / p.q2 : 0.0f;
  float best = d * p.qx;
  for (int step = -kSteps; step <= kSteps; ++step) {
    p = round_with(x, (static_cast<float>(step) + first) / largest);
    if (p.q2 > 0 && p.qx * p.qx > best * p.q2) {
      d = p.qx / p.q2;
      best = d * p.qx;
    }
  }
  return d;
}

void store(const float* x, float d, uint8_t* qs) {
  const float inverse = d != 0 ? 1 / d : 0.0f;
  for (int i = 0; i < 16; ++i)
    qs[i] = static_cast<uint8_t>(nearest_index(inverse * x[i]) | nearest_index(inverse * x[i + 16]) << 4);
}

void encode(const float* x, BlockIq4Nl& b) {
  const float d = fit(x);
  b.d = f32_to_f16(d);
  store(x, d, b.qs);
}

void encode(const float* x, BlockIq4Xs& b) {
  float scales[8], largest = 0;
  for (int s = 0; s < 8; ++s) {
    scales[s] = fit(x + 32 * s);
    if (std::fabs(scales[s]) > std::fabs(largest)) largest = scales[s];
  }
  std::memset(&b, 0, sizeof(b));
  const float d = -largest / 32;
  b.d = f32_to_f16(d);
  const float inverse = d != 0 ? 1 / d : 0.0f;
  for (int s = 0; s < 8; ++s) {
    const float nearest = std::nearbyint(inverse * scales[s]);
    const int l = nearest < -32 ? -32 : nearest > 31 ? 31 : static_cast<int>(nearest);
    store(x + 32 * s, d * static_cast<float>(l), b.qs + 16 * s);
    b.scales_l[s / 2] = static_cast<uint8_t>(b.scales_l[s / 2] | ((l + 32) & 15) << (4 * (s % 2)));
    b.scales_h = static_cast<uint16_t>(b.scales_h | ((l + 32) >> 4) << (2 * s));
  }
}

template <typename Block, int values>
void quantize(const float* x, int64_t n, std::byte* blocks) {
  for (int64_t i = 0; i < n / values; ++i) {
    Block block;
    encode(x + i * values, block);
    std::memcpy(blocks + i * static_cast<int64_t>(sizeof(Block)), &block, sizeof(Block));
  }
}

}  // namespace

void quantize_iq4_nl(const float* x, int64_t n, std::byte* blocks) { quantize<BlockIq4Nl, kBlock>(x, n, blocks); }
void quantize_iq4_xs(const float* x, int64_t n, std::byte* blocks) { quantize<BlockIq4Xs, kSuperBlock>(x, n, blocks); }

}  // namespace kinglet
