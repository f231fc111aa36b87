// The products of many tokens with unpacked slices, on Arm's dot products.
#include <arm_neon.h>

#include "kernels/act_block.h"
#include "kernels/simd/tiles.h"
#include "kernels/simd/unrolled.h"

namespace kinglet::simd {
namespace {

#include "kernels/arm/tiles_neon.inl"

/// A vector of activations serves four quads.
struct DotProducts {
  template <int halves, int offset_bits, int half, int TT>
  static inline __attribute__((always_inline)) void add(const uint8_t* slice, const ActBlock* const x[TT],
                                                        int32x4_t dot[kVectors][TT]) {
    unrolled<kVectors * TT>([&]<int i>() __attribute__((always_inline)) {
      dot[i % kVectors][i / kVectors] = vdupq_n_s32(start<halves, offset_bits>(*x[i / kVectors], half));
    });
    unrolled<2 / halves>([&]<int four>() __attribute__((always_inline)) {
      constexpr int kFour = four + half;  // which half of the slice's eight quads
      int8x16_t q[TT];
      for (int t = 0; t < TT; ++t) q[t] = vld1q_s8(x[t]->q + 16 * kFour);
      unrolled<4 * kVectors>([&]<int i>() __attribute__((always_inline)) {
        constexpr int quad = i / kVectors, v = i % kVectors;
        // Loads stay with their quad: gathered at the start of the slice, they drive the sums out of the registers.
        if constexpr (v == 0) asm volatile("" ::: "memory");
        const int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(slice + 64 * (4 * kFour + quad) + 16 * v));
        unrolled<TT>([&]<int t>()
                         __attribute__((always_inline)) { dot[v][t] = vdotq_laneq_s32(dot[v][t], w, q[t], quad); });
      });
    });
  }
};

}  // namespace

void multiply_tiles_dotprod(const SliceKind& kind, const TileArgs& a) { multiply_tiles<DotProducts>(kind, a); }

}  // namespace kinglet::simd
