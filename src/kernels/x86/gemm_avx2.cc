#include <immintrin.h>

#include "kernels/x86/vec_avx2.h"
// The vector operations come first.
#include "kernels/simd/tiles.h"
#include "kernels/simd/unrolled.h"

namespace kinglet::simd {
namespace {

/// The products of one quad in 16 bits; with group 1 of signed weights.
template <int group>
KL_INLINE __m256i products(__m256i w, __m256i a) {
  return group == 1 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)) : _mm256_maddubs_epi16(w, a);
}

/// dot[v][t] += `group` quads from the i-th of a slice, of both vectors v of rows and TT tokens, added up in 16 bits. Short
/// groups finish one sum at a time, long ones go quad by quad: whichever keeps fewer values in registers.
template <int group, int TT>
KL_INLINE void add_group(const uint8_t* slice, int i, const ActBlock* const x[TT], __m256i dot[2][TT]) {
  const auto weights = [&](int j, int v) __attribute__((always_inline)) {
    return Vec::load(slice + 64 * (i + j) + 32 * v);
  };
  if constexpr (group <= 2) {
    unrolled<2 * TT>([&]<int n>() __attribute__((always_inline)) {
      constexpr int v = n % 2, t = n / 2;
      __m256i part = products<group>(weights(0, v), Vec::quad(x[t]->q, i));
      if constexpr (group == 2) part = Vec::chain16(part, products<group>(weights(1, v), Vec::quad(x[t]->q, i + 1)));
      dot[v][t] = Vec::chain32(dot[v][t], Vec::pairs(part));
    });
  } else {
    __m256i part[2][TT];
    unrolled<group * 2 * TT>([&]<int n>() __attribute__((always_inline)) {
      constexpr int j = n / (2 * TT), t = n / 2 % TT, v = n % 2;
      const __m256i p = products<group>(weights(j, v), Vec::quad(x[t]->q, i + j));
      part[v][t] = j == 0 ? p : Vec::chain16(part[v][t], p);
    });
    unrolled<2 * TT>([&]<int n>() __attribute__((always_inline)) {
      constexpr int v = n % 2, t = n / 2;
      dot[v][t] = Vec::chain32(dot[v][t], Vec::pairs(part[v][t]));
    });
  }
}

/// One panel (two vectors of rows) x TT tokens: n slices. With 16 registers the 16-bit sums of the products in flight fill
/// them; the float accumulators stay in memory, once a slice. The float operations on one accumulator are in the order of
/// the direct kernels in matmul_quantized.h, so that both give the same bits.
template <int halves, bool mins, int group, int offset_bits, int TT>
void tile(const uint8_t* slice, int n, const std::byte* acts, size_t act_stride, float* acc, bool first) {
  constexpr int kQuads = 8 / halves;
  if (first)
    for (int i = 0; i < 2 * TT; ++i) _mm256_store_ps(acc + 8 * i, _mm256_setzero_ps());
  for (int s = 0; s < n; ++s, slice += slice_bytes(halves, mins), acts += sizeof(ActBlock)) {
    const ActBlock* x[TT];
    for (int t = 0; t < TT; ++t) x[t] = reinterpret_cast<const ActBlock*>(acts + static_cast<size_t>(t) * act_stride);
    const float* scales = reinterpret_cast<const float*>(slice + 512);
    __m256 sum[2][TT];
    unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
      __m256i dot[2][TT];
      unrolled<TT>([&]<int t>() __attribute__((always_inline)) {
        dot[0][t] = _mm256_setzero_si256();
        if constexpr (offset_bits != 0)
          dot[0][t] = Vec::right32<7 - offset_bits>(Vec::set32(halves == 1 ? x[t]->bias : x[t]->bias16[half]));
        dot[1][t] = dot[0][t];
      });
      unrolled<kQuads / group>([&]<int i>() __attribute__((always_inline)) {
        add_group<group, TT>(slice, kQuads * half + group * i, x, dot);
      });
      unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
        constexpr int v = i % 2, t = i / 2;
        const __m256 f = Vec::to_float(dot[v][t]), scale = _mm256_load_ps(scales + 16 * half + 8 * v);
        sum[v][t] = half == 0 ? Vec::mul(f, scale) : Vec::fmadd(f, scale, sum[v][t]);
      });
    });
    unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
      constexpr int v = i % 2, t = i / 2;
      float* to = acc + 16 * t + 8 * v;
      __m256 y = Vec::fmadd(sum[v][t], Vec::set(x[t]->scale), _mm256_load_ps(to));
      if constexpr (mins) {
        const float* sums = halves == 1 ? &x[t]->scaled_sum : x[t]->scaled_sum16;
        unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
          y = Vec::fnmadd(_mm256_load_ps(scales + 16 * (halves + half) + 8 * v), Vec::set(sums[half]), y);
        });
      }
      _mm256_store_ps(to, y);
    });
  }
}

constexpr int kWidest = 4;

template <int halves, bool mins, int group, int offset_bits>
void run(const TileArgs& a) {
  constexpr void (*kTiles[])(const uint8_t*, int, const std::byte*, size_t, float*, bool) = {
      nullptr, tile<halves, mins, group, offset_bits, 1>, tile<halves, mins, group, offset_bits, 2>,
      tile<halves, mins, group, offset_bits, 3>, tile<halves, mins, group, offset_bits, 4>};
  const int64_t count = (a.T + kWidest - 1) / kWidest;
  int64_t t = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = a.T * (i + 1) / count;
    kTiles[end - t](a.slices, a.n, a.acts + static_cast<size_t>(t) * a.act_stride, a.act_stride, a.acc + 16 * t,
                    a.first);
    t = end;
  }
}

}  // namespace

void multiply_tiles_avx2(const SliceKind& kind, const TileArgs& a) {
  if (kind.halves == 1) {
    if (kind.group == 1) return run<1, false, 1, 0>(a);                                      // q8_0, iq4
    if (kind.group == 8) return kind.mins ? run<1, true, 8, 0>(a) : run<1, false, 8, 3>(a);  // q4_1, q4_k; q4_0
    return kind.mins ? run<1, true, 4, 0>(a) : run<1, false, 4, 4>(a);                       // q5_1, q5_k; q5_0
  }
  if (kind.mins) return run<2, true, 4, 0>(a);         // q2_k
  if (kind.group == 4) return run<2, false, 4, 2>(a);  // q3_k
  return run<2, false, 2, 5>(a);                       // q6_k
}

}  // namespace kinglet::simd
