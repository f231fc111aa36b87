// The products of many tokens with unpacked slices, on Arm's products of int8 matrices (i8mm): one instruction multiplies two tokens
// by two rows over eight values of K. Slices hold quads in pairs (see Vec::store_quads in vec_neon.h).
#include <arm_neon.h>

#include "kernels/act_block.h"
#include "kernels/simd/tiles.h"
#include "kernels/simd/unrolled.h"

namespace kinglet::simd {
namespace {

#include "kernels/arm/tiles_neon.inl"

struct MatrixProducts {
  template <int halves, int offset_bits, int half, int TT>
  static inline __attribute__((always_inline)) void add(const uint8_t* slice, const ActBlock* const x[TT],
                                                        int32x4_t dot[kVectors][TT]) {
    constexpr int kTokens = (TT + 1) / 2, kRows = 2 * kVectors;  // pairs
    // An odd last token is its own partner.
    const auto second = [](int p) { return 2 * p + 1 < TT ? 2 * p + 1 : TT - 1; };
    int32x4_t square[kRows][kTokens];  // (token, row): 00, 01, 10, 11
    unrolled<kTokens>([&]<int p>() __attribute__((always_inline)) {
      const int32x4_t both = vcombine_s32(vdup_n_s32(start<halves, offset_bits>(*x[2 * p], half)),
                                          vdup_n_s32(start<halves, offset_bits>(*x[second(p)], half)));
      for (int r = 0; r < kRows; ++r) square[r][p] = both;
    });
    unrolled<4 / halves>([&]<int i>() __attribute__((always_inline)) {
      constexpr int kPair = i + half * 4 / halves;  // of quads
      int8x16_t q[kTokens];
      unrolled<kTokens>([&]<int p>() __attribute__((always_inline)) {
        q[p] = vcombine_s8(vld1_s8(x[2 * p]->q + 8 * kPair), vld1_s8(x[second(p)]->q + 8 * kPair));
      });
      asm volatile("" ::: "memory");  // loads of weights stay with their pair, as in gemm_dotprod.cc
      unrolled<kRows>([&]<int r>() __attribute__((always_inline)) {
        const int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(slice + 128 * kPair + 16 * r));
        unrolled<kTokens>([&]<int p>()
                              __attribute__((always_inline)) { square[r][p] = vmmlaq_s32(square[r][p], q[p], w); });
      });
    });
    unrolled<kVectors * kTokens>([&]<int i>() __attribute__((always_inline)) {
      constexpr int v = i % kVectors, p = i / kVectors;
      const int64x2_t a = vreinterpretq_s64_s32(square[2 * v][p]), b = vreinterpretq_s64_s32(square[2 * v + 1][p]);
      dot[v][2 * p] = vreinterpretq_s32_s64(vtrn1q_s64(a, b));
      if constexpr (2 * p + 1 < TT) dot[v][2 * p + 1] = vreinterpretq_s32_s64(vtrn2q_s64(a, b));
    });
  }
};

}  // namespace

void multiply_tiles_i8mm(const SliceKind& kind, const TileArgs& a) { multiply_tiles<MatrixProducts>(kind, a); }

}  // namespace kinglet::simd
