#include "kernels/simd/tiles.h"

#include <immintrin.h>

#include "kernels/act_block.h"

namespace kinglet::simd {
namespace {

/// acc (R panels x TT tokens) += n slices. The sequence of float operations on one accumulator is that of the direct kernels
/// in matmul_quantized.h, so that both give the same bits.
template <int halves, bool mins, int R, int TT>
void tile(const uint8_t* slices, int n, const std::byte* acts, size_t act_stride, float* acc_memory, bool first) {
  constexpr size_t kStride = slice_bytes(1, halves, mins);
  constexpr size_t kPanelStride = kStride * kSlices;
  __m512 acc[R][TT];
  for (int t = 0; t < TT; ++t)
    for (int r = 0; r < R; ++r)
      acc[r][t] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(acc_memory + 16 * (t * R + r));

  for (int s = 0; s < n; ++s, slices += kStride, acts += sizeof(ActBlock)) {
    const ActBlock* x[TT];
#pragma GCC unroll 8
    for (int t = 0; t < TT; ++t) x[t] = reinterpret_cast<const ActBlock*>(acts + static_cast<size_t>(t) * act_stride);
      // The next tile's activations: each token's stretch is too short for the processor's own prefetcher.
#pragma GCC unroll 8
    for (int t = 0; t < TT; ++t)
      _mm_prefetch(reinterpret_cast<const char*>(x[t]) + static_cast<size_t>(TT) * act_stride, _MM_HINT_T0);
    __m512 sum[R][TT];
#pragma GCC unroll 2
    for (int half = 0; half < halves; ++half) {
      __m512i dot[R][TT];
#pragma GCC unroll 8
      for (int t = 0; t < TT; ++t) {
        const __m512i start =
            mins ? _mm512_setzero_si512() : _mm512_set1_epi32(halves == 1 ? x[t]->bias : x[t]->bias16[half]);
#pragma GCC unroll 2
        for (int r = 0; r < R; ++r) dot[r][t] = start;
      }
#pragma GCC unroll 8
      for (int i = 8 / halves * half; i < 8 / halves * (half + 1); ++i) {
        __m512i w[R];
#pragma GCC unroll 2
        for (int r = 0; r < R; ++r) w[r] = _mm512_load_si512(slices + static_cast<size_t>(r) * kPanelStride + 64 * i);
#pragma GCC unroll 8
        for (int t = 0; t < TT; ++t) {
          const __m512i quad = _mm512_set1_epi32(reinterpret_cast<const int32_t*>(x[t]->q)[i]);
#pragma GCC unroll 2
          for (int r = 0; r < R; ++r) dot[r][t] = _mm512_dpbusd_epi32(dot[r][t], w[r], quad);
        }
      }
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        const __m512 scale = _mm512_load_ps(slices + static_cast<size_t>(r) * kPanelStride + 512 + 64 * half);
#pragma GCC unroll 8
        for (int t = 0; t < TT; ++t) {
          const __m512 f = _mm512_cvtepi32_ps(dot[r][t]);
          sum[r][t] = half == 0 ? _mm512_mul_ps(f, scale) : _mm512_fmadd_ps(f, scale, sum[r][t]);
        }
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int t = 0; t < TT; ++t) acc[r][t] = _mm512_fmadd_ps(sum[r][t], _mm512_set1_ps(x[t]->scale), acc[r][t]);
      if constexpr (mins) {
        const uint8_t* min = slices + static_cast<size_t>(r) * kPanelStride + 512 + 64 * halves;
#pragma GCC unroll 8
        for (int t = 0; t < TT; ++t) {
#pragma GCC unroll 2
          for (int half = 0; half < halves; ++half) {
            const float scaled = halves == 1 ? x[t]->scaled_sum : scaled_sum16(*x[t], half);
            acc[r][t] = _mm512_fnmadd_ps(_mm512_load_ps(min + 64 * half), _mm512_set1_ps(scaled), acc[r][t]);
          }
        }
      }
    }
  }
  for (int t = 0; t < TT; ++t)
    for (int r = 0; r < R; ++r) _mm512_storeu_ps(acc_memory + 16 * (t * R + r), acc[r][t]);
}

using Tile = void (*)(const uint8_t*, int, const std::byte*, size_t, float*, bool);

template <int halves, bool mins, int R>
constexpr Tile kTiles[7] = {nullptr,
                            tile<halves, mins, R, 1>,
                            tile<halves, mins, R, 2>,
                            tile<halves, mins, R, 3>,
                            tile<halves, mins, R, 4>,
                            tile<halves, mins, R, 5>,
                            tile<halves, mins, R, 6>};

/// Tokens in tiles of nearly equal size, `widest` at most: what one kernel holds in registers.
void run(const Tile* tiles, int widest, const TileArgs& a) {
  const int64_t count = (a.T + widest - 1) / widest;
  int64_t t = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = a.T * (i + 1) / count;
    tiles[end - t](a.slices, a.n, a.acts + static_cast<size_t>(t) * a.act_stride, a.act_stride,
                   a.acc + t * a.panels * 16, a.first);
    t = end;
  }
}

}  // namespace

void multiply_tiles_avx512(const SliceKind& kind, const TileArgs& a) {
  // Two scales a slice need three registers for each accumulator instead of two.
  if (kind.halves == 1) {
    if (kind.mins) return run(a.panels == 2 ? kTiles<1, true, 2> : kTiles<1, true, 1>, 6, a);
    return run(a.panels == 2 ? kTiles<1, false, 2> : kTiles<1, false, 1>, 6, a);
  }
  if (kind.mins) return run(a.panels == 2 ? kTiles<2, true, 2> : kTiles<2, true, 1>, 4, a);
  return run(a.panels == 2 ? kTiles<2, false, 2> : kTiles<2, false, 1>, 4, a);
}

}  // namespace kinglet::simd
