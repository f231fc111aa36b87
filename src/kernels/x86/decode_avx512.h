// Packed panels to operands of the dot-product instructions, for files built for AVX-512: one decoder for each quantized type.
// All work on a *slice*, 32 values of K of 16 rows: eight vectors w[i] of unsigned bytes, byte 4 r + c being row r's value
// 4 i + c, and f32 scales (and minimums) of the 16 rows. See kernels/panels.h for where things lie.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "tensor/blocks.h"

namespace kinglet {
namespace {

#define KL_INLINE inline __attribute__((always_inline))

/// Scales of a slice: scale[0] alone, or one for each half (16 values). Minimums likewise: w = scale u - min.
struct SliceScales {
  __m512 scale[2];
  __m512 min[2];
};

KL_INLINE __m512i load512(const uint8_t* p) { return _mm512_loadu_si512(p); }
KL_INLINE __m512 load_halves(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
KL_INLINE __m512i low_nibbles(__m512i v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
KL_INLINE __m512i high_nibbles(__m512i v) { return low_nibbles(_mm512_srli_epi16(v, 4)); }
/// x | (y & mask) in one operation.
KL_INLINE __m512i or_masked(__m512i x, __m512i y, __m512i mask) { return _mm512_ternarylogic_epi32(x, y, mask, 0xf8); }
KL_INLINE __m512 bytes_to_floats(__m128i b) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(b)); }

/// Where in a packed block the member lies.
#define KL_AT(Block, member) (16 * offsetof(Block, member))

/// Nibbles of blocks of 32: quads 0..3 low, 4..7 high.
KL_INLINE void block_nibbles(const uint8_t* qs, __m512i w[8]) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i v = load512(qs + 64 * i);
    w[i] = low_nibbles(v);
    w[i + 4] = high_nibbles(v);
  }
}

/// Adds fifth bits: bit i of each byte is that of quad i.
KL_INLINE void add_fifth_bits(const uint8_t* qh, __m512i w[8]) {
  const __m512i h = load512(qh), bit = _mm512_set1_epi8(16);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    w[i] = or_masked(w[i], _mm512_slli_epi16(h, 4 - i), bit);
    w[i + 4] = or_masked(w[i + 4], i == 0 ? h : _mm512_srli_epi16(h, i), bit);
  }
}

/// Indices to the table of IQ4 values, plus 128.
KL_INLINE void look_up_iq4(__m512i w[8]) {
  const __m128i signed_values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values));
  const __m512i table = _mm512_broadcast_i32x4(_mm_xor_si128(signed_values, _mm_set1_epi8(-128)));
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) w[i] = _mm512_shuffle_epi8(table, w[i]);
}

struct NoHeader {};

// Each decoder: kSlices slices in a block of kBytes; values are u - (1 << kOffsetBits) (0: unsigned); kHalves scales in a
// slice; kMins: with minimums. header() reads what all slices of a block share.

template <DType type>
struct Decode;

template <DType type>
struct DecodeSimple {
  using Block = typename BlockOf<type>::type;
  static constexpr size_t kBytes = 16 * sizeof(Block);
  static constexpr int kSlices = 1, kHalves = 1;
  static KL_INLINE NoHeader header(const uint8_t*) { return {}; }
};

template <>
struct Decode<DType::q4_0> : DecodeSimple<DType::q4_0> {
  static constexpr int kOffsetBits = 3;
  static constexpr bool kMins = false;
  template <int>
  static KL_INLINE void slice(const uint8_t* b, NoHeader, __m512i w[8], SliceScales& s) {
    block_nibbles(b + KL_AT(BlockQ4_0, qs), w);
    s.scale[0] = load_halves(b);
  }
};

template <>
struct Decode<DType::q4_1> : DecodeSimple<DType::q4_1> {
  static constexpr int kOffsetBits = 0;
  static constexpr bool kMins = true;
  template <int>
  static KL_INLINE void slice(const uint8_t* b, NoHeader, __m512i w[8], SliceScales& s) {
    block_nibbles(b + KL_AT(BlockQ4_1, qs), w);
    s.scale[0] = load_halves(b);
    s.min[0] = _mm512_sub_ps(_mm512_setzero_ps(), load_halves(b + KL_AT(BlockQ4_1, m)));
  }
};

template <>
struct Decode<DType::q5_0> : DecodeSimple<DType::q5_0> {
  static constexpr int kOffsetBits = 4;
  static constexpr bool kMins = false;
  template <int>
  static KL_INLINE void slice(const uint8_t* b, NoHeader, __m512i w[8], SliceScales& s) {
    block_nibbles(b + KL_AT(BlockQ5_0, qs), w);
    add_fifth_bits(b + KL_AT(BlockQ5_0, qh), w);
    s.scale[0] = load_halves(b);
  }
};

template <>
struct Decode<DType::q5_1> : DecodeSimple<DType::q5_1> {
  static constexpr int kOffsetBits = 0;
  static constexpr bool kMins = true;
  template <int>
  static KL_INLINE void slice(const uint8_t* b, NoHeader, __m512i w[8], SliceScales& s) {
    block_nibbles(b + KL_AT(BlockQ5_1, qs), w);
    add_fifth_bits(b + KL_AT(BlockQ5_1, qh), w);
    s.scale[0] = load_halves(b);
    s.min[0] = _mm512_sub_ps(_mm512_setzero_ps(), load_halves(b + KL_AT(BlockQ5_1, m)));
  }
};

template <>
struct Decode<DType::q8_0> : DecodeSimple<DType::q8_0> {
  static constexpr int kOffsetBits = 7;
  static constexpr bool kMins = false;
  template <int>
  static KL_INLINE void slice(const uint8_t* b, NoHeader, __m512i w[8], SliceScales& s) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i)
      w[i] = _mm512_xor_si512(load512(b + KL_AT(BlockQ8_0, qs) + 64 * i), _mm512_set1_epi8(-128));
    s.scale[0] = load_halves(b);
  }
};

template <>
struct Decode<DType::iq4_nl> : DecodeSimple<DType::iq4_nl> {
  static constexpr int kOffsetBits = 7;
  static constexpr bool kMins = false;
  template <int>
  static KL_INLINE void slice(const uint8_t* b, NoHeader, __m512i w[8], SliceScales& s) {
    block_nibbles(b + KL_AT(BlockIq4Nl, qs), w);
    look_up_iq4(w);
    s.scale[0] = load_halves(b);
  }
};

template <DType type>
struct DecodeSuper {
  using Block = typename BlockOf<type>::type;
  static constexpr size_t kBytes = 16 * sizeof(Block);
  static constexpr int kSlices = 8;
};

/// Bytes 16 j .. 16 j + 15 of a vector: scale j of four, of 16 rows.
template <int j>
KL_INLINE __m512 quarter_to_floats(__m512i v) {
  return bytes_to_floats(_mm512_extracti32x4_epi32(v, j));
}

/// Six-bit scales and minimums of Q4_K and Q5_K, four to a vector.
struct HeaderK4 {
  __m512 d, dmin;
  __m512i scale[2], min[2];
};
template <typename Block>
KL_INLINE HeaderK4 header_k4(const uint8_t* b) {
  const uint8_t* p = b + KL_AT(Block, scales);
  const __m512i a = load512(p), c = load512(p + 64), e = load512(p + 128);
  const __m512i six = _mm512_set1_epi8(63), top = _mm512_set1_epi8(0x30);
  HeaderK4 h;
  h.d = load_halves(b + KL_AT(Block, d));
  h.dmin = load_halves(b + KL_AT(Block, dmin));
  h.scale[0] = _mm512_and_si512(a, six);
  h.min[0] = _mm512_and_si512(c, six);
  h.scale[1] = or_masked(low_nibbles(e), _mm512_srli_epi16(a, 2), top);
  h.min[1] = or_masked(high_nibbles(e), _mm512_srli_epi16(c, 2), top);
  return h;
}
template <int s>
KL_INLINE void scales_k4(const HeaderK4& h, SliceScales& out) {
  out.scale[0] = _mm512_mul_ps(h.d, quarter_to_floats<s % 4>(h.scale[s / 4]));
  out.min[0] = _mm512_mul_ps(h.dmin, quarter_to_floats<s % 4>(h.min[s / 4]));
}

template <>
struct Decode<DType::q4_k> : DecodeSuper<DType::q4_k> {
  static constexpr int kHalves = 1, kOffsetBits = 0;
  static constexpr bool kMins = true;
  static KL_INLINE HeaderK4 header(const uint8_t* b) { return header_k4<BlockQ4K>(b); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, const HeaderK4& h, __m512i w[8], SliceScales& out) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const __m512i v = load512(b + KL_AT(BlockQ4K, qs) + 64 * (8 * (s / 2) + i));
      w[i] = s % 2 == 0 ? low_nibbles(v) : high_nibbles(v);
    }
    scales_k4<s>(h, out);
  }
};

template <>
struct Decode<DType::q5_k> : DecodeSuper<DType::q5_k> {
  static constexpr int kHalves = 1, kOffsetBits = 0;
  static constexpr bool kMins = true;
  static KL_INLINE HeaderK4 header(const uint8_t* b) { return header_k4<BlockQ5K>(b); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, const HeaderK4& h, __m512i w[8], SliceScales& out) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const __m512i v = load512(b + KL_AT(BlockQ5K, qs) + 64 * (8 * (s / 2) + i));
      const __m512i bits = load512(b + KL_AT(BlockQ5K, qh) + 64 * i);
      const __m512i fifth = s < 4 ? _mm512_slli_epi16(bits, s < 4 ? 4 - s : 0) : _mm512_srli_epi16(bits, s < 4 ? 0 : s - 4);
      w[i] = or_masked(s % 2 == 0 ? low_nibbles(v) : high_nibbles(v), fifth, _mm512_set1_epi8(16));
    }
    scales_k4<s>(h, out);
  }
};

template <>
struct Decode<DType::q6_k> : DecodeSuper<DType::q6_k> {
  static constexpr int kHalves = 2, kOffsetBits = 5;
  static constexpr bool kMins = false;
  static KL_INLINE __m512 header(const uint8_t* b) { return load_halves(b + KL_AT(BlockQ6K, d)); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, __m512 d, __m512i w[8], SliceScales& out) {
    constexpr int h = s / 4, p = s % 4;
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const __m512i low = load512(b + KL_AT(BlockQ6K, ql) + 64 * (16 * h + 8 * (p % 2) + i));
      const __m512i bits = load512(b + KL_AT(BlockQ6K, qh) + 64 * (8 * h + i));
      const __m512i high = p < 2 ? _mm512_slli_epi16(bits, p < 2 ? 4 - 2 * p : 0) : _mm512_srli_epi16(bits, p < 2 ? 0 : 2 * p - 4);
      w[i] = or_masked(p < 2 ? low_nibbles(low) : high_nibbles(low), high, _mm512_set1_epi8(0x30));
    }
    for (int half = 0; half < 2; ++half) {
      const __m128i scale =
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + KL_AT(BlockQ6K, scales) + 16 * (2 * s + half)));
      out.scale[half] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(scale)));
    }
  }
};

/// Two-bit values of slice s, as Q2_K and Q3_K store them.
template <int s>
KL_INLINE __m512i two_bits(const uint8_t* qs, int i) {
  const __m512i v = load512(qs + 64 * (8 * (s / 4) + i));
  return _mm512_and_si512(_mm512_srli_epi16(v, 2 * (s % 4)), _mm512_set1_epi8(3));
}

struct HeaderQ3K {
  __m512 d;
  __m512i scale[4];  ///< plus 32
};

template <>
struct Decode<DType::q3_k> : DecodeSuper<DType::q3_k> {
  static constexpr int kHalves = 2, kOffsetBits = 2;
  static constexpr bool kMins = false;
  static KL_INLINE HeaderQ3K header(const uint8_t* b) {
    const uint8_t* p = b + KL_AT(BlockQ3K, scales);
    const __m512i a = load512(p), c = load512(p + 64), e = load512(p + 128), top = _mm512_set1_epi8(0x30);
    return {load_halves(b + KL_AT(BlockQ3K, d)),
            {or_masked(low_nibbles(a), _mm512_slli_epi16(e, 4), top), or_masked(low_nibbles(c), _mm512_slli_epi16(e, 2), top),
             or_masked(high_nibbles(a), e, top), or_masked(high_nibbles(c), _mm512_srli_epi16(e, 2), top)}};
  }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, const HeaderQ3K& h, __m512i w[8], SliceScales& out) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const __m512i bits = load512(b + KL_AT(BlockQ3K, hmask) + 64 * i);
      const __m512i third = s < 2 ? _mm512_slli_epi16(bits, s < 2 ? 2 - s : 0) : _mm512_srli_epi16(bits, s < 2 ? 0 : s - 2);
      w[i] = or_masked(two_bits<s>(b + KL_AT(BlockQ3K, qs), i), third, _mm512_set1_epi8(4));
    }
    const __m512 bias = _mm512_set1_ps(32.0f);
    out.scale[0] = _mm512_mul_ps(h.d, _mm512_sub_ps(quarter_to_floats<(2 * s) % 4>(h.scale[s / 2]), bias));
    out.scale[1] = _mm512_mul_ps(h.d, _mm512_sub_ps(quarter_to_floats<(2 * s + 1) % 4>(h.scale[s / 2]), bias));
  }
};

struct HeaderQ2K {
  __m512 d, dmin;
};

template <>
struct Decode<DType::q2_k> : DecodeSuper<DType::q2_k> {
  static constexpr int kHalves = 2, kOffsetBits = 0;
  static constexpr bool kMins = true;
  static KL_INLINE HeaderQ2K header(const uint8_t* b) {
    return {load_halves(b + KL_AT(BlockQ2K, d)), load_halves(b + KL_AT(BlockQ2K, dmin))};
  }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, const HeaderQ2K& h, __m512i w[8], SliceScales& out) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) w[i] = two_bits<s>(b + KL_AT(BlockQ2K, qs), i);
    for (int half = 0; half < 2; ++half) {
      const __m128i v =
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + KL_AT(BlockQ2K, scales) + 16 * (2 * s + half)));
      const __m128i low = _mm_and_si128(v, _mm_set1_epi8(15));
      const __m128i high = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));
      out.scale[half] = _mm512_mul_ps(h.d, bytes_to_floats(low));
      out.min[half] = _mm512_mul_ps(h.dmin, bytes_to_floats(high));
    }
  }
};

struct HeaderIq4Xs {
  __m512 d;
  __m256i scales_h;
};

template <>
struct Decode<DType::iq4_xs> : DecodeSuper<DType::iq4_xs> {
  static constexpr int kHalves = 1, kOffsetBits = 7;
  static constexpr bool kMins = false;
  static KL_INLINE HeaderIq4Xs header(const uint8_t* b) {
    return {load_halves(b), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + KL_AT(BlockIq4Xs, scales_h)))};
  }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, const HeaderIq4Xs& h, __m512i w[8], SliceScales& out) {
    block_nibbles(b + KL_AT(BlockIq4Xs, qs) + 256 * s, w);
    look_up_iq4(w);
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + KL_AT(BlockIq4Xs, scales_l) + 16 * (s / 2)));
    const __m512i low = _mm512_and_si512(_mm512_srli_epi32(_mm512_cvtepu8_epi32(bytes), 4 * (s % 2)), _mm512_set1_epi32(15));
    const __m512i high = _mm512_and_si512(_mm512_srli_epi32(_mm512_cvtepu16_epi32(h.scales_h), 2 * s), _mm512_set1_epi32(3));
    const __m512i scale = _mm512_sub_epi32(_mm512_or_si512(low, _mm512_slli_epi32(high, 4)), _mm512_set1_epi32(32));
    out.scale[0] = _mm512_mul_ps(h.d, _mm512_cvtepi32_ps(scale));
  }
};

}  // namespace
}  // namespace kinglet
