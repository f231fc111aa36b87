// Canonical blocks to f32. Each value is computed with ggml's expression and rounding, so results equal its bit for bit.
#include <cstring>

#include "base/half.h"
#include "kernels/kernels.h"
#include "tensor/blocks.h"

namespace kinglet {
namespace {

void decode(const BlockQ4_0& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < 16; ++i) {
    y[i] = static_cast<float>((b.qs[i] & 15) - 8) * d;
    y[i + 16] = static_cast<float>((b.qs[i] >> 4) - 8) * d;
  }
}

void decode(const BlockQ4_1& b, float* y) {
  const float d = f16_to_f32(b.d), m = f16_to_f32(b.m);
  for (int i = 0; i < 16; ++i) {
    y[i] = static_cast<float>(b.qs[i] & 15) * d + m;
    y[i + 16] = static_cast<float>(b.qs[i] >> 4) * d + m;
  }
}

/// Value i (0..31) of the five-bit blocks.
template <typename B>
int five_bits(const B& b, int i) {
  const int low = i < 16 ? b.qs[i] & 15 : b.qs[i - 16] >> 4;
  return low | (((b.qh[i / 8] >> (i % 8)) & 1) << 4);
}

void decode(const BlockQ5_0& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(five_bits(b, i) - 16) * d;
}

void decode(const BlockQ5_1& b, float* y) {
  const float d = f16_to_f32(b.d), m = f16_to_f32(b.m);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(five_bits(b, i)) * d + m;
}

void decode(const BlockQ8_0& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(b.qs[i]) * d;
}

/// 32 values from 16 bytes of nibbles that index kIq4Values.
void decode_iq4(const uint8_t* qs, float d, float* y) {
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(kIq4Values[qs[i] & 15]);
    y[i + 16] = d * static_cast<float>(kIq4Values[qs[i] >> 4]);
  }
}

void decode(const BlockIq4Nl& b, float* y) { decode_iq4(b.qs, f16_to_f32(b.d), y); }

void decode(const BlockIq4Xs& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int s = 0; s < 8; ++s) decode_iq4(b.qs + 16 * s, d * static_cast<float>(scale_iq4xs(s, b)), y + 32 * s);
}

void decode(const BlockQ2K& b, float* y) {
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int h = i / 128, p = i % 128 / 32, l = i % 32;
    const uint8_t scale = b.scales[i / 16];
    const int q = (b.qs[32 * h + l] >> (2 * p)) & 3;
    y[i] = d * static_cast<float>(scale & 15) * static_cast<float>(q) - dmin * static_cast<float>(scale >> 4);
  }
}

void decode(const BlockQ3K& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int h = i / 128, p = i % 128 / 32, l = i % 32;
    const int q = ((b.qs[32 * h + l] >> (2 * p)) & 3) | (((b.hmask[l] >> (4 * h + p)) & 1) << 2);
    y[i] = d * static_cast<float>(scale_q3k(i / 16, b.scales)) * static_cast<float>(q - 4);
  }
}

void decode(const BlockQ4K& b, float* y) {
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int s = 0; s < 8; ++s) {
    const ScaleMin sm = scale_min_k4(s, b.scales);
    const float scale = d * static_cast<float>(sm.scale), min = dmin * static_cast<float>(sm.min);
    for (int l = 0; l < 32; ++l) {
      const int q = (b.qs[32 * (s / 2) + l] >> (4 * (s % 2))) & 15;
      y[32 * s + l] = scale * static_cast<float>(q) - min;
    }
  }
}

void decode(const BlockQ5K& b, float* y) {
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int s = 0; s < 8; ++s) {
    const ScaleMin sm = scale_min_k4(s, b.scales);
    const float scale = d * static_cast<float>(sm.scale), min = dmin * static_cast<float>(sm.min);
    for (int l = 0; l < 32; ++l) {
      const int q = ((b.qs[32 * (s / 2) + l] >> (4 * (s % 2))) & 15) | (((b.qh[l] >> s) & 1) << 4);
      y[32 * s + l] = scale * static_cast<float>(q) - min;
    }
  }
}

void decode(const BlockQ6K& b, float* y) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int h = i / 128, p = i % 128 / 32, l = i % 32;
    const int low = (b.ql[64 * h + 32 * (p % 2) + l] >> (4 * (p / 2))) & 15;
    const int high = (b.qh[32 * h + l] >> (2 * p)) & 3;
    y[i] = d * static_cast<float>(b.scales[i / 16]) * static_cast<float>((low | (high << 4)) - 32);
  }
}

template <DType type>
void dequantize(const std::byte* blocks, int64_t n, float* out) {
  using Block = typename BlockOf<type>::type;
  constexpr int64_t values = info(type).block_values;
  for (int64_t i = 0; i < n / values; ++i) {
    Block block;  // copied: rows in a mapped file may start at odd addresses
    std::memcpy(&block, blocks + i * static_cast<int64_t>(sizeof(Block)), sizeof(Block));
    decode(block, out + i * values);
  }
}

void dequantize_f32(const std::byte* blocks, int64_t n, float* out) {
  std::memcpy(out, blocks, static_cast<size_t>(n) * sizeof(float));
}

template <float (*convert)(uint16_t)>
void dequantize_half(const std::byte* blocks, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t bits;
    std::memcpy(&bits, blocks + 2 * i, sizeof(bits));
    out[i] = convert(bits);
  }
}

}  // namespace

DequantizeRow dequantize_row(DType type) {
  switch (type) {
    case DType::f32:
      return dequantize_f32;
    case DType::f16:
      return dequantize_half<f16_to_f32>;
    case DType::bf16:
      return dequantize_half<bf16_to_f32>;
    case DType::q4_0:
      return dequantize<DType::q4_0>;
    case DType::q4_1:
      return dequantize<DType::q4_1>;
    case DType::q5_0:
      return dequantize<DType::q5_0>;
    case DType::q5_1:
      return dequantize<DType::q5_1>;
    case DType::q8_0:
      return dequantize<DType::q8_0>;
    case DType::q2_k:
      return dequantize<DType::q2_k>;
    case DType::q3_k:
      return dequantize<DType::q3_k>;
    case DType::q4_k:
      return dequantize<DType::q4_k>;
    case DType::q5_k:
      return dequantize<DType::q5_k>;
    case DType::q6_k:
      return dequantize<DType::q6_k>;
    case DType::iq4_nl:
      return dequantize<DType::iq4_nl>;
    case DType::iq4_xs:
      return dequantize<DType::iq4_xs>;
    default:
      return nullptr;
  }
}

}  // namespace kinglet
