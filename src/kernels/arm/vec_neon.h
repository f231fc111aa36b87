// The vector operations that simd/decode.h and simd/matmul_*.h are written in, on 64-bit Arm: a vector is a quad of 4
// of the 16 rows of a panel, so a panel is worked on in four parts. dot() needs the dot-product extension.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/act_block.h"
#include "kernels/kernels.h"
#include "kernels/simd/tiles.h"
#include "kernels/simd/unrolled.h"

namespace kinglet {
namespace {

#define KL_INLINE inline __attribute__((always_inline))

struct Vec {
  using I = int32x4_t;
  using F = float32x4_t;
  static constexpr int kParts = 4;                         ///< vectors that a quad of the 16 rows takes
  static constexpr int kDirectTokens = 4;                  ///< up to here decoding in registers, otherwise unpacking
  static constexpr int kDirectGroup = 2;                   ///< tokens that share one decoding in registers
  static constexpr int kTilePanels = 1, kFloatPanels = 1;  ///< panels of a tile
  static constexpr bool kTilesTakeBytes = false;  ///< unpacked weights with an offset all have that of eight bits
  static constexpr bool kMultiplyWidens = false;

  static KL_INLINE void prefetch(const uint8_t* p) { asm volatile("prfm pldl2keep, [%0]" ::"r"(p)); }

  static KL_INLINE I load(const uint8_t* p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
  static KL_INLINE void store(uint8_t* p, I v) { vst1q_u8(p, vreinterpretq_u8_s32(v)); }
  static KL_INLINE void store(uint8_t* p, F v) { vst1q_f32(reinterpret_cast<float*>(p), v); }
  static KL_INLINE I set8(int v) { return vreinterpretq_s32_s8(vdupq_n_s8(static_cast<int8_t>(v))); }
  static KL_INLINE I set32(int32_t v) { return vdupq_n_s32(v); }
  static KL_INLINE F set(float v) { return vdupq_n_f32(v); }
  static KL_INLINE I and_(I a, I b) { return vandq_s32(a, b); }
  static KL_INLINE I add8(I a, I b) { return vreinterpretq_s32_s8(vaddq_s8(as_bytes(a), as_bytes(b))); }
  static KL_INLINE I sub32(I a, I b) { return vsubq_s32(a, b); }
  /// a | (b & mask)
  static KL_INLINE I or_masked(I a, I b, I mask) { return vorrq_s32(a, vandq_s32(b, mask)); }
  // The instructions have no shift by 0.
  template <int n>
  static KL_INLINE I left16(I v) {
    if constexpr (n == 0) return v;
    else return vreinterpretq_s32_u16(vshlq_n_u16(vreinterpretq_u16_s32(v), n));
  }
  template <int n>
  static KL_INLINE I right16(I v) {
    if constexpr (n == 0) return v;
    else return vreinterpretq_s32_u16(vshrq_n_u16(vreinterpretq_u16_s32(v), n));
  }
  template <int n>
  static KL_INLINE I right32(I v) {
    if constexpr (n == 0) return v;
    else return vshrq_n_s32(v, n);
  }
  template <int n>
  static KL_INLINE I left32(I v) {
    if constexpr (n == 0) return v;
    else return vshlq_n_s32(v, n);
  }

  /// One value for each row, widened to 32 bits.
  static KL_INLINE I bytes(const uint8_t* p) {
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(four_bytes(p))))));
  }
  static KL_INLINE I signed_bytes(const uint8_t* p) {
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(four_bytes(p)))));
  }
  static KL_INLINE I words(const uint8_t* p) {
    return vreinterpretq_s32_u32(vmovl_u16(vreinterpret_u16_u8(vld1_u8(p))));
  }
  static KL_INLINE F halves(const uint8_t* p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }

  static KL_INLINE F floats(const uint8_t* p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
  static KL_INLINE F as_float(I v) { return vreinterpretq_f32_s32(v); }

  static KL_INLINE F zero() { return vdupq_n_f32(0.0f); }
  static KL_INLINE F to_float(I v) { return vcvtq_f32_s32(v); }
  static KL_INLINE F mul(F a, F b) { return vmulq_f32(a, b); }
  static KL_INLINE F negate(F a) { return vnegq_f32(a); }
  static KL_INLINE F fmadd(F a, F b, F c) { return vfmaq_f32(c, a, b); }   ///< a b + c
  static KL_INLINE F fnmadd(F a, F b, F c) { return vfmsq_f32(c, a, b); }  ///< c - a b

  /// Eight-bit weights stay signed, as the instruction takes them; unsigned ones of up to six bits are signed ones too.
  static constexpr int kByteOffsetBits = 0;
  static KL_INLINE I byte_weights(I signed_bytes) { return signed_bytes; }
  static constexpr int kByteWidth = 1;
  /// A part's eight quads of unpacked weights, to the slice that begins at `slice`. Where matrices of int8 are multiplied, two quads lie
  /// together as eight values of each row: 128 bytes for two quads of 16 rows.
  template <int>
  static KL_INLINE void store_quads(uint8_t* slice, int part, const I w[8]) {
#if defined(__ARM_FEATURE_MATMUL_INT8)
    for (int i = 0; i < 8; i += 2) {
      store(slice + 64 * i + 32 * part, vzip1q_s32(w[i], w[i + 1]));
      store(slice + 64 * i + 32 * part + 16, vzip2q_s32(w[i], w[i + 1]));
    }
#else
    for (int i = 0; i < 8; ++i) store(slice + 64 * i + 16 * part, w[i]);
#endif
  }
  /// 16 table entries by index.
  static KL_INLINE I look_up(const int8_t* table, I index) {
    return vreinterpretq_s32_s8(vqtbl1q_s8(vld1q_s8(table), vreinterpretq_u8_s32(index)));
  }

#if defined(__ARM_FEATURE_DOTPROD)
  /// sum + the products of `count` (4 or 8) quads of weights and activations; exact. `group` only matters for AVX2.
  template <int group, int count>
  static KL_INLINE I dot(I sum, const I* w, const int8_t* q) {
    unrolled<count / 4>([&]<int four>() __attribute__((always_inline)) {
      const int8x16_t acts = vld1q_s8(q + 16 * four);
      unrolled<4>([&]<int i>() __attribute__((always_inline)) {
        sum = vdotq_laneq_s32(sum, as_bytes(w[4 * four + i]), acts, i);
      });
    });
    return sum;
  }
#endif

  /// out[t, n .. n + 4) (=|+=) y + bias for the columns below N.
  static KL_INLINE void write_output(const MatmulArgs& a, int64_t t, int64_t n, F y) {
    const int64_t left = a.N - n;
    if (left <= 0) return;
    float* out = a.out + t * a.out_stride + n;
    if (left >= 4) {
      if (a.bias != nullptr) y = vaddq_f32(y, vld1q_f32(a.bias + n));
      if (a.epilogue == Epilogue::add) y = vaddq_f32(vld1q_f32(out), y);
      vst1q_f32(out, y);
      return;
    }
    float lanes[4];
    vst1q_f32(lanes, y);
    for (int64_t i = 0; i < left; ++i) {
      if (a.bias != nullptr) lanes[i] += a.bias[n + i];
      out[i] = a.epilogue == Epilogue::add ? out[i] + lanes[i] : lanes[i];
    }
  }

 private:
  static KL_INLINE int8x16_t as_bytes(I v) { return vreinterpretq_s8_s32(v); }
  static KL_INLINE uint32x2_t four_bytes(const uint8_t* p) {
    uint32_t four;
    std::memcpy(&four, p, sizeof(four));
    return vdup_n_u32(four);
  }
};

}  // namespace
}  // namespace kinglet
