// The vector operations that decode.h and matmul_quantized.h are written in, on AVX-512 with VNNI: a vector is a quad of all 16
// rows of a panel.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/act_block.h"
#include "kernels/kernels.h"
#include "kernels/simd/tiles.h"

namespace kinglet {
namespace {

#define KL_INLINE inline __attribute__((always_inline))

struct Vec {
  using I = __m512i;
  using F = __m512;
  static constexpr int kParts = 1;          ///< vectors that a quad of the 16 rows takes
  static constexpr int kDirectTokens = 16;  ///< up to here decoding in registers is faster than unpacking
  static constexpr int kDirectGroup = 4;    ///< tokens that share one decoding in registers
  static constexpr int kTilePanels = 2, kFloatPanels = 4;  ///< panels of a tile
  static constexpr bool kTilesTakeBytes = true;  ///< unpacked weights with an offset all have that of eight bits
  static constexpr bool kMultiplyWidens = false;

  static KL_INLINE void prefetch(const uint8_t* p) { asm volatile("prefetcht1 (%0)" ::"r"(p)); }

  /// Once: the compiler would rather read memory again in every instruction that uses the value.
  static KL_INLINE I load(const uint8_t* p) {
    I v = _mm512_loadu_si512(p);
    asm("" : "+v"(v));
    return v;
  }
  static KL_INLINE void store(uint8_t* p, I v) { _mm512_store_si512(p, v); }
  static KL_INLINE void store(uint8_t* p, F v) { _mm512_store_ps(p, v); }
  static KL_INLINE I set8(int v) { return _mm512_set1_epi8(static_cast<char>(v)); }
  static KL_INLINE I set32(int32_t v) { return _mm512_set1_epi32(v); }
  static KL_INLINE F set(float v) { return _mm512_set1_ps(v); }
  static KL_INLINE I and_(I a, I b) { return _mm512_and_si512(a, b); }
  static KL_INLINE I add8(I a, I b) { return _mm512_add_epi8(a, b); }
  static KL_INLINE I sub32(I a, I b) { return _mm512_sub_epi32(a, b); }
  /// a | (b & mask)
  static KL_INLINE I or_masked(I a, I b, I mask) { return _mm512_ternarylogic_epi32(a, b, mask, 0xf8); }
  template <int n>
  static KL_INLINE I left16(I v) {
    return n == 0 ? v : _mm512_slli_epi16(v, n);
  }
  template <int n>
  static KL_INLINE I right16(I v) {
    return n == 0 ? v : _mm512_srli_epi16(v, n);
  }
  template <int n>
  static KL_INLINE I right32(I v) {
    return n == 0 ? v : _mm512_srai_epi32(v, n);
  }
  template <int n>
  static KL_INLINE I left32(I v) {
    return n == 0 ? v : _mm512_slli_epi32(v, n);
  }

  /// One value for each row, widened to 32 bits.
  static KL_INLINE I bytes(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  /// The same of four rows of bytes in a vector: the j-th.
  template <int j>
  static KL_INLINE I row_bytes(I four) {
    return _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(four, j));
  }
  static KL_INLINE I signed_bytes(const uint8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static KL_INLINE I words(const uint8_t* p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static KL_INLINE F halves(const uint8_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }

  static KL_INLINE F floats(const uint8_t* p) { return _mm512_loadu_ps(p); }
  static KL_INLINE F as_float(I v) { return _mm512_castsi512_ps(v); }

  static KL_INLINE F zero() { return _mm512_setzero_ps(); }
  static KL_INLINE F to_float(I v) { return _mm512_cvtepi32_ps(v); }
  static KL_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static KL_INLINE F negate(F a) { return _mm512_sub_ps(_mm512_setzero_ps(), a); }
  static KL_INLINE F fmadd(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }    ///< a b + c
  static KL_INLINE F fnmadd(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }  ///< c - a b

  static constexpr int kByteWidth = 1;
  /// The eight quads of unpacked weights, to the slice that begins at `slice`.
  template <int>
  static KL_INLINE void store_quads(uint8_t* slice, int, const I w[8]) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) store(slice + 64 * i, w[i]);
  }
  /// Eight-bit weights are handed on plus 128, since the instruction takes unsigned ones.
  static constexpr int kByteOffsetBits = 7;
  static KL_INLINE I byte_weights(I signed_bytes) { return _mm512_xor_si512(signed_bytes, _mm512_set1_epi8(-128)); }
  /// 16 table entries by index.
  static KL_INLINE I look_up(const int8_t* table, I index) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), index);
  }

  /// sum + the products of `count` quads of weights and activations; exact. `group` only matters for AVX2.
  template <int group, int count>
  static KL_INLINE I dot(I sum, const I* w, const int8_t* q) {
    // The compiler would load and spread the quad by an instruction of its own; with that, the processor looks ahead less far into a
    // stream of weights.
#pragma GCC unroll 8
    for (int i = 0; i < count; ++i)
      asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w[i]), "m"(reinterpret_cast<const int32_t*>(q)[i]));
    return sum;
  }

  /// out[t, n .. n + 16) (=|+=) y + bias for the columns below N.
  static KL_INLINE void write_output(const MatmulArgs& a, int64_t t, int64_t n, F y) {
    const int64_t left = a.N - n;
    const __mmask16 mask = left >= kPanelRows ? 0xffff : static_cast<__mmask16>((1u << left) - 1);
    float* out = a.out + t * a.out_stride + n;
    if (a.bias != nullptr) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, a.bias + n));
    if (a.epilogue == Epilogue::add) y = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), y);
    _mm512_mask_storeu_ps(out, mask, y);
  }
};

}  // namespace
}  // namespace kinglet
