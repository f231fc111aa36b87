// f32 to the simple blocks of 32 values. The expressions and roundings are those of ggml's reference, so files come out
// equal bit for bit. K-quants are in quantize_k.cc, the nonlinear ones in quantize_iq4.cc.
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "kernels/kernels.h"
#include "kernels/ref/quantize.h"
#include "tensor/blocks.h"

namespace kinglet {
namespace {

/// The value of largest magnitude, with its sign; the first one of equals.
float signed_largest(const float* x) {
  float magnitude = 0, value = 0;
  for (int i = 0; i < kBlock; ++i) {
    if (magnitude < std::fabs(x[i])) {
      magnitude = std::fabs(x[i]);
      value = x[i];
    }
  }
  return value;
}

struct Range {
  float min, max;
};
Range range(const float* x) {
  Range r{x[0], x[0]};
  for (int i = 1; i < kBlock; ++i) {
    if (x[i] < r.min) r.min = x[i];
    if (x[i] > r.max) r.max = x[i];
  }
  return r;
}

float inverse(float d) { return d != 0 ? 1.0f / d : 0.0f; }

/// `value` (at least 0 up to rounding errors) cut to an integer of at most `largest`.
int cut(float value, int largest) {
  const int q = static_cast<int>(value);
  return q < largest ? q : largest;
}

void store_nibbles(const int* q, uint8_t* qs) {
  for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>((q[i] & 15) | ((q[i + 16] & 15) << 4));
}

void store_fifth_bits(const int* q, uint8_t* qh) {
  for (int byte = 0; byte < 4; ++byte) {
    int bits = 0;
    for (int i = 0; i < 8; ++i) bits |= ((q[8 * byte + i] >> 4) & 1) << i;
    qh[byte] = static_cast<uint8_t>(bits);
  }
}

void encode(const float* x, BlockQ4_0& b) {
  const float d = signed_largest(x) / -8, id = inverse(d);
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) q[i] = cut(x[i] * id + 8.5f, 15);
  b.d = f32_to_f16(d);
  store_nibbles(q, b.qs);
}

void encode(const float* x, BlockQ4_1& b) {
  const Range r = range(x);
  const float d = (r.max - r.min) / 15, id = inverse(d);
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) q[i] = cut((x[i] - r.min) * id + 0.5f, 15);
  b.d = f32_to_f16(d);
  b.m = f32_to_f16(r.min);
  store_nibbles(q, b.qs);
}

void encode(const float* x, BlockQ5_0& b) {
  const float d = signed_largest(x) / -16, id = inverse(d);
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) q[i] = cut(x[i] * id + 16.5f, 31);
  b.d = f32_to_f16(d);
  store_nibbles(q, b.qs);
  store_fifth_bits(q, b.qh);
}

void encode(const float* x, BlockQ5_1& b) {
  const Range r = range(x);
  const float d = (r.max - r.min) / 31, id = inverse(d);
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) q[i] = cut((x[i] - r.min) * id + 0.5f, 31);
  b.d = f32_to_f16(d);
  b.m = f32_to_f16(r.min);
  store_nibbles(q, b.qs);
  store_fifth_bits(q, b.qh);
}

void encode(const float* x, BlockQ8_0& b) {
  const float d = std::fabs(signed_largest(x)) / 127, id = inverse(d);
  b.d = f32_to_f16(d);
  for (int i = 0; i < kBlock; ++i) b.qs[i] = static_cast<int8_t>(std::round(x[i] * id));
}

template <typename Block>
void quantize(const float* x, int64_t n, std::byte* blocks) {
  for (int64_t i = 0; i < n / kBlock; ++i) {
    Block block;
    encode(x + i * kBlock, block);
    std::memcpy(blocks + i * static_cast<int64_t>(sizeof(Block)), &block, sizeof(Block));
  }
}

void quantize_f32(const float* x, int64_t n, std::byte* out) {
  std::memcpy(out, x, static_cast<size_t>(n) * sizeof(float));
}

template <uint16_t (*convert)(float)>
void quantize_half(const float* x, int64_t n, std::byte* out) {
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t bits = convert(x[i]);
    std::memcpy(out + 2 * i, &bits, sizeof(bits));
  }
}

}  // namespace

QuantizeRow quantize_row(DType type) {
  switch (type) {
    case DType::f32:
      return quantize_f32;
    case DType::f16:
      return quantize_half<f32_to_f16>;
    case DType::bf16:
      return quantize_half<f32_to_bf16>;
    case DType::q4_0:
      return quantize<BlockQ4_0>;
    case DType::q4_1:
      return quantize<BlockQ4_1>;
    case DType::q5_0:
      return quantize<BlockQ5_0>;
    case DType::q5_1:
      return quantize<BlockQ5_1>;
    case DType::q8_0:
      return quantize<BlockQ8_0>;
    case DType::q2_k:
      return quantize_q2_k;
    case DType::q3_k:
      return quantize_q3_k;
    case DType::q4_k:
      return quantize_q4_k;
    case DType::q5_k:
      return quantize_q5_k;
    case DType::q6_k:
      return quantize_q6_k;
    case DType::iq4_nl:
      return quantize_iq4_nl;
    case DType::iq4_xs:
      return quantize_iq4_xs;
    default:
      return nullptr;
  }
}

}  // namespace kinglet
