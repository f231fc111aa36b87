#include "convert/random_blocks.h"

#include <cstring>

#include "base/half.h"
#include "tensor/blocks.h"

namespace kinglet::convert {
namespace {

// Standard deviations of the quants when all their bits are random: n equally likely steps give sqrt((n^2 - 1) / 12).
constexpr float kSpread2 = 1.118f, kSpread3 = 2.291f, kSpread4 = 4.610f, kSpread5 = 9.233f, kSpread6 = 18.473f,
                kSpread8 = 73.9f, kSpreadIq4 = 68.3f;
constexpr int kMiddleScale6 = 40;  // of six-bit scales: drawn from 32 to 47
constexpr int kMiddleScale4 = 12;  // of four-bit scales: drawn from 8 to 15

void fill_bytes(Random& random, std::byte* out, size_t count) {
  for (; count >= 8; count -= 8, out += 8) {
    const uint64_t bits = random.next();
    std::memcpy(out, &bits, 8);
  }
  const uint64_t bits = random.next();
  std::memcpy(out, &bits, count);
}

/// As f16 files have values whose checkpoint was bf16, as published ones are.
uint16_t f16_from_bf16(float value) { return f32_to_f16(bf16_to_f32(f32_to_bf16(value))); }

/// Quants that are not symmetric around 0 (0..15 less 8) have a small mean: a random sign of the scale cancels it.
uint16_t signed_half(float value, Random& random) { return f32_to_f16(random.next() & 1 ? value : -value); }

/// Eight six-bit scales and equal mins as Q4_K and Q5_K pack them.
void set_scales_k4(Random& random, uint8_t (&packed)[12]) {
  const uint64_t bits = random.next();
  uint8_t scale[8];
  for (int j = 0; j < 8; ++j) scale[j] = static_cast<uint8_t>(32 + ((bits >> (8 * j)) & 15));
  for (int j = 0; j < 4; ++j) {
    const int high = scale[j + 4] >> 4;
    packed[j] = packed[j + 4] = static_cast<uint8_t>(scale[j] | (high << 6));
    packed[j + 8] = static_cast<uint8_t>((scale[j + 4] & 15) | ((scale[j + 4] & 15) << 4));
  }
}

void finish(BlockQ4_0& b, float s, Random& r) { b.d = signed_half(s / kSpread4, r); }
void finish(BlockQ4_1& b, float s, Random&) {
  b.d = f32_to_f16(s / kSpread4);
  b.m = f32_to_f16(-7.5f * f16_to_f32(b.d));
}
void finish(BlockQ5_0& b, float s, Random& r) { b.d = signed_half(s / kSpread5, r); }
void finish(BlockQ5_1& b, float s, Random&) {
  b.d = f32_to_f16(s / kSpread5);
  b.m = f32_to_f16(-15.5f * f16_to_f32(b.d));
}
void finish(BlockQ8_0& b, float s, Random& r) { b.d = signed_half(s / kSpread8, r); }
void finish(BlockIq4Nl& b, float s, Random& r) { b.d = signed_half(s / kSpreadIq4, r); }

void finish(BlockQ2K& b, float s, Random& r) {
  const uint64_t bits = r.next();
  for (int j = 0; j < 16; ++j) {
    const auto scale = static_cast<uint8_t>(8 + ((bits >> (4 * j)) & 7));
    b.scales[j] = static_cast<uint8_t>(scale | (scale << 4));
  }
  b.d = f32_to_f16(s / (kMiddleScale4 * kSpread2));
  b.dmin = f32_to_f16(1.5f * f16_to_f32(b.d));
}

void finish(BlockQ3K& b, float s, Random& r) {
  // Scales less 32 from -32 to 31, as random as the quants: their root mean square is that of six random bits.
  b.d = signed_half(s / (kSpread6 * kSpread3), r);
}

void finish(BlockQ4K& b, float s, Random& r) {
  set_scales_k4(r, b.scales);
  b.d = f32_to_f16(s / (kMiddleScale6 * kSpread4));
  b.dmin = f32_to_f16(7.5f * f16_to_f32(b.d));
}

void finish(BlockQ5K& b, float s, Random& r) {
  set_scales_k4(r, b.scales);
  b.d = f32_to_f16(s / (kMiddleScale6 * kSpread5));
  b.dmin = f32_to_f16(15.5f * f16_to_f32(b.d));
}

void finish(BlockQ6K& b, float s, Random& r) {
  const uint64_t size = r.next(), sign = r.next();
  for (int j = 0; j < 16; ++j) {
    const int scale = 32 + static_cast<int>((size >> (4 * j)) & 15);
    b.scales[j] = static_cast<int8_t>((sign >> j) & 1 ? scale : -scale);
  }
  b.d = f32_to_f16(s / (kMiddleScale6 * kSpread6));
}

void finish(BlockIq4Xs& b, float s, Random& r) { b.d = signed_half(s / (kSpread6 * kSpreadIq4), r); }

template <DType type>
void fill_blocks(float deviation, Random& random, std::span<std::byte> out) {
  using Block = typename BlockOf<type>::type;
  fill_bytes(random, out.data(), out.size());
  for (size_t at = 0; at + sizeof(Block) <= out.size(); at += sizeof(Block)) {
    Block block;
    std::memcpy(&block, out.data() + at, sizeof(Block));
    finish(block, deviation, random);
    std::memcpy(out.data() + at, &block, sizeof(Block));
  }
}

template <typename T, typename Convert>
void fill_plain(float deviation, Random& random, std::span<std::byte> out, Convert convert) {
  for (size_t at = 0; at + sizeof(T) <= out.size(); at += sizeof(T)) {
    const T value = convert(deviation * random.normal());
    std::memcpy(out.data() + at, &value, sizeof(T));
  }
}

}  // namespace

void fill_random(DType type, float deviation, Random& random, std::span<std::byte> out) {
  switch (type) {
    case DType::f32:
      return fill_plain<float>(deviation, random, out, [](float v) { return v; });
    case DType::f16:
      return fill_plain<uint16_t>(deviation, random, out, f16_from_bf16);
    case DType::bf16:
      return fill_plain<uint16_t>(deviation, random, out, f32_to_bf16);
    case DType::q4_0:
      return fill_blocks<DType::q4_0>(deviation, random, out);
    case DType::q4_1:
      return fill_blocks<DType::q4_1>(deviation, random, out);
    case DType::q5_0:
      return fill_blocks<DType::q5_0>(deviation, random, out);
    case DType::q5_1:
      return fill_blocks<DType::q5_1>(deviation, random, out);
    case DType::q8_0:
      return fill_blocks<DType::q8_0>(deviation, random, out);
    case DType::q2_k:
      return fill_blocks<DType::q2_k>(deviation, random, out);
    case DType::q3_k:
      return fill_blocks<DType::q3_k>(deviation, random, out);
    case DType::q4_k:
      return fill_blocks<DType::q4_k>(deviation, random, out);
    case DType::q5_k:
      return fill_blocks<DType::q5_k>(deviation, random, out);
    case DType::q6_k:
      return fill_blocks<DType::q6_k>(deviation, random, out);
    case DType::iq4_nl:
      return fill_blocks<DType::iq4_nl>(deviation, random, out);
    case DType::iq4_xs:
      return fill_blocks<DType::iq4_xs>(deviation, random, out);
    case DType::i8:
    case DType::i16:
    case DType::i32:
    case DType::i64:
    case DType::f64:
      std::memset(out.data(), 0, out.size());
      return;  // no weight has these
  }
}

}  // namespace kinglet::convert
