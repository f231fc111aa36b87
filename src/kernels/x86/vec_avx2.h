// The vector operations that decode.h and matmul_quantized.h are written in, on AVX2: a vector is a quad of 8 of the 16 rows of a
// panel, so a panel is worked on in two parts.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/act_block.h"
#include "kernels/kernels.h"
#include "kernels/simd/tiles.h"
#include "kernels/simd/unrolled.h"

namespace kinglet {
namespace {

#define KL_INLINE inline __attribute__((always_inline))

struct Vec {
  using I = __m256i;
  using F = __m256;
  static constexpr int kParts = 2;         ///< vectors that a quad of the 16 rows takes
  static constexpr int kDirectTokens = 4;  ///< up to here decoding in registers is faster than unpacking
  static constexpr int kDirectGroup = 2;   ///< tokens that share one decoding in registers
  static constexpr int kTilePanels = 1, kFloatPanels = 1;  ///< panels of a tile
  static constexpr bool kTilesTakeBytes = false;  ///< unpacked weights with an offset all have that of eight bits
  static constexpr bool kMultiplyWidens = true;   ///< sums of 16 bits are widened by an instruction that multiplies

  static KL_INLINE void prefetch(const uint8_t* p) { asm volatile("prefetcht1 (%0)" ::"r"(p)); }

  static KL_INLINE I load(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static KL_INLINE void store(uint8_t* p, I v) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  static KL_INLINE void store(uint8_t* p, F v) { _mm256_store_ps(reinterpret_cast<float*>(p), v); }
  static KL_INLINE I set8(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }
  static KL_INLINE I set32(int32_t v) { return _mm256_set1_epi32(v); }
  static KL_INLINE F set(float v) { return _mm256_set1_ps(v); }
  static KL_INLINE I and_(I a, I b) { return _mm256_and_si256(a, b); }
  static KL_INLINE I add8(I a, I b) { return _mm256_add_epi8(a, b); }
  static KL_INLINE I sub32(I a, I b) { return _mm256_sub_epi32(a, b); }
  /// a | (b & mask)
  static KL_INLINE I or_masked(I a, I b, I mask) { return _mm256_or_si256(a, _mm256_and_si256(b, mask)); }
  template <int n>
  static KL_INLINE I left16(I v) {
    return n == 0 ? v : _mm256_slli_epi16(v, n);
  }
  template <int n>
  static KL_INLINE I right16(I v) {
    return n == 0 ? v : _mm256_srli_epi16(v, n);
  }
  template <int n>
  static KL_INLINE I right32(I v) {
    return n == 0 ? v : _mm256_srai_epi32(v, n);
  }
  template <int n>
  static KL_INLINE I left32(I v) {
    return n == 0 ? v : _mm256_slli_epi32(v, n);
  }

  /// One value for each row, widened to 32 bits.
  static KL_INLINE I bytes(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static KL_INLINE I signed_bytes(const uint8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static KL_INLINE I words(const uint8_t* p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static KL_INLINE F halves(const uint8_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }

  static KL_INLINE F floats(const uint8_t* p) { return _mm256_loadu_ps(reinterpret_cast<const float*>(p)); }
  static KL_INLINE F as_float(I v) { return _mm256_castsi256_ps(v); }

  static KL_INLINE F zero() { return _mm256_setzero_ps(); }
  static KL_INLINE F to_float(I v) { return _mm256_cvtepi32_ps(v); }
  static KL_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static KL_INLINE F negate(F a) { return _mm256_sub_ps(_mm256_setzero_ps(), a); }
  static KL_INLINE F fmadd(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }    ///< a b + c
  static KL_INLINE F fnmadd(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }  ///< c - a b

  /// Eight-bit weights stay signed: see dot().
  static constexpr int kByteOffsetBits = 0;
  static KL_INLINE I byte_weights(I signed_bytes) { return signed_bytes; }
  static constexpr int kByteWidth = 2;
  /// A part's eight quads of unpacked weights, to the slice that begins at `slice`. Those of eight bits (group 1) are stored as words, each
  /// row's values 0 and 1 and then 2 and 3, since vpmaddwd alone takes less than moving signs, vpmaddubsw and widening.
  template <int group>
  static KL_INLINE void store_quads(uint8_t* slice, int part, const I w[8]) {
    uint8_t* to = slice + 32 * part;
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      if constexpr (group == 1) store_words(to + 128 * i, w[i]);
      else store(to + 64 * i, w[i]);
    }
  }
  static KL_INLINE void store_words(uint8_t* to, I v) {
    constexpr char z = -128;
    const I first = _mm256_setr_epi8(z, 0, z, 1, z, 4, z, 5, z, 8, z, 9, z, 12, z, 13, z, 0, z, 1, z, 4, z, 5, z, 8, z,
                                     9, z, 12, z, 13);
    const I second = _mm256_or_si256(_mm256_and_si256(first, set8(z)), _mm256_or_si256(first, set8(2)));
    store(to, _mm256_srai_epi16(_mm256_shuffle_epi8(v, first), 8));
    store(to + 64, _mm256_srai_epi16(_mm256_shuffle_epi8(v, second), 8));
  }
  /// 16 table entries by index.
  static KL_INLINE I look_up(const int8_t* table, I index) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))),
                               index);
  }

  static KL_INLINE I quad(const int8_t* q, int i) { return _mm256_set1_epi32(reinterpret_cast<const int32_t*>(q)[i]); }
  static KL_INLINE I pairs(I sixteen) { return _mm256_madd_epi16(sixteen, _mm256_set1_epi16(1)); }

  /// a + b, in this order: the compiler would otherwise turn chains of sums into trees, whose leaves do not fit 16 registers.
  static KL_INLINE I chain16(I a, I b) {
    I sum = _mm256_add_epi16(a, b);
    asm("" : "+x"(sum));
    return sum;
  }
  static KL_INLINE I chain32(I a, I b) {
    I sum = _mm256_add_epi32(a, b);
    asm("" : "+x"(sum));
    return sum;
  }

  /// sum + the products of `count` quads of weights and activations (in [-127, 127]); exact. vpmaddubsw adds two products
  /// in 16 bits: `group` quads of unsigned weights can be added there before they no longer fit (15 * 127 * 2 * 8, 31 * 127
  /// * 2 * 4 and 63 * 127 * 2 * 2 all do). group 1: signed bytes; their sign moves to the activation, 128 * 127 * 2 fits.
  template <int group, int count>
  static KL_INLINE I dot(I sum, const I* w, const int8_t* q) {
    // Activations are read anew for each part: kept for the other they would not fit the registers, and their stores and loads make the
    // processor look ahead less far into a stream of weights.
    asm volatile("" : "+r"(q));
    unrolled<count / group>([&]<int g>() __attribute__((always_inline)) {
      I part;
      unrolled<group>([&]<int j>() __attribute__((always_inline)) {
        const I weights = w[g * group + j], acts = quad(q, g * group + j);
        const I products = group == 1 ? _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(acts, weights))
                                      : _mm256_maddubs_epi16(weights, acts);
        part = j == 0 ? products : chain16(part, products);
      });
      sum = chain32(sum, pairs(part));
    });
    return sum;
  }

  /// Masked stores take 12 cycles on AMD's processors.
  static KL_INLINE void write_whole(const MatmulArgs& a, float* out, int64_t n, F y) {
    if (a.bias != nullptr) y = _mm256_add_ps(y, _mm256_loadu_ps(a.bias + n));
    if (a.epilogue == Epilogue::add) y = _mm256_add_ps(_mm256_loadu_ps(out), y);
    _mm256_storeu_ps(out, y);
  }

  /// out[t, n .. n + 8) (=|+=) y + bias for the columns below N.
  static KL_INLINE void write_output(const MatmulArgs& a, int64_t t, int64_t n, F y) {
    const int64_t left = a.N - n;
    if (left <= 0) return;
    if (left >= 8) return write_whole(a, a.out + t * a.out_stride + n, n, y);
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(left)), lanes);
    float* out = a.out + t * a.out_stride + n;
    if (a.bias != nullptr) y = _mm256_add_ps(y, _mm256_maskload_ps(a.bias + n, mask));
    if (a.epilogue == Epilogue::add) y = _mm256_add_ps(_mm256_maskload_ps(out, mask), y);
    _mm256_maskstore_ps(out, mask, y);
  }
};

}  // namespace
}  // namespace kinglet
