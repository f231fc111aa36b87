#include "kernels/simd/tiles.h"

#include <immintrin.h>

#include "kernels/act_block.h"
#include "kernels/simd/unrolled.h"

namespace kinglet::simd {
namespace {

constexpr int kTokens = 16;       ///< rows of a tile register
constexpr int kFewestTokens = 7;  ///< below, vectors do it: a tile of one to six tokens is theirs

// The tile registers, as literals, which GCC's intrinsics paste into their text: sums and activations of 16 tokens and of the rest, weights.
#define KL_SUMS 0
#define KL_SUMS_TAIL 1
#define KL_ACTS 2
#define KL_ACTS_TAIL 3
#define KL_WEIGHTS 4

/// What LDTILECFG reads (Intel's Software Developer's Manual, volume 1, 18.2.2).
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

/// Registers for a slice's (or a half's) products: sums of 16 or `tail` tokens x 16 rows, activations of as many tokens, weights as they
/// lie unpacked, quads of K by rows.
TileConfig config_for(int halves, int tail) {
  TileConfig c;
  const auto set = [&c](int r, int rows, int bytes) {
    c.rows[r] = static_cast<uint8_t>(rows);
    c.row_bytes[r] = static_cast<uint16_t>(bytes);
  };
  set(KL_SUMS, kTokens, 64);
  set(KL_ACTS, kTokens, kActBlock / halves);
  set(KL_WEIGHTS, 8 / halves, 64);
  if (tail > 0) {
    set(KL_SUMS_TAIL, tail, 64);
    set(KL_ACTS_TAIL, tail, kActBlock / halves);
  }
  return c;
}

/// Integer products of one slice: (halves, tokens, 16 rows).
template <int halves>
struct alignas(64) Products {
  int32_t sums[halves][kTokens][kPanelRows];
};

/// Of a slice with the tokens whose blocks begin at acts: signed activations, weights without a sign.
template <int halves, bool whole>
inline __attribute__((always_inline)) void multiply(const uint8_t* slice, const std::byte* acts, size_t act_stride,
                                                    Products<halves>& out) {
  unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
    _tile_loadd(KL_WEIGHTS, slice + 512 / halves * half, 64);
    if constexpr (whole) {
      _tile_zero(KL_SUMS);
      _tile_loadd(KL_ACTS, acts + kActBlock / halves * half, act_stride);
      _tile_dpbsud(KL_SUMS, KL_ACTS, KL_WEIGHTS);
      _tile_stored(KL_SUMS, out.sums[half], 64);
    } else {
      _tile_zero(KL_SUMS_TAIL);
      _tile_loadd(KL_ACTS_TAIL, acts + kActBlock / halves * half, act_stride);
      _tile_dpbsud(KL_SUMS_TAIL, KL_ACTS_TAIL, KL_WEIGHTS);
      _tile_stored(KL_SUMS_TAIL, out.sums[half], 64);
    }
  });
}

/// acc += a slice's products, scaled, in the order of the direct kernels in matmul_quantized.h: the same bits.
template <int halves, bool mins>
inline __attribute__((always_inline)) __m512 add_up(const uint8_t* slice, const ActBlock& x, int t,
                                                    const Products<halves>& products, __m512 acc) {
  __m512 sum;
  unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
    __m512i dot = _mm512_load_si512(products.sums[half][t]);
    if constexpr (!mins) dot = _mm512_add_epi32(dot, _mm512_set1_epi32(halves == 1 ? x.bias : x.bias16[half]));
    const __m512 f = _mm512_cvtepi32_ps(dot), scale = _mm512_load_ps(slice + 512 + 64 * half);
    sum = half == 0 ? _mm512_mul_ps(f, scale) : _mm512_fmadd_ps(f, scale, sum);
  });
  acc = _mm512_fmadd_ps(sum, _mm512_set1_ps(x.scale), acc);
  if constexpr (mins) {
    unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
      const float scaled = halves == 1 ? x.scaled_sum : scaled_sum16(x, half);
      acc = _mm512_fnmadd_ps(_mm512_load_ps(slice + 512 + 64 * (halves + half)), _mm512_set1_ps(scaled), acc);
    });
  }
  return acc;
}

/// One panel x `tokens` tokens (16 where `whole`): n slices. Rows of `out` lie out_stride floats apart.
template <int halves, bool mins, bool whole>
void tile(const uint8_t* slice, int n, const std::byte* acts, size_t act_stride, float* out, size_t out_stride,
          bool first, int tokens) {
  const int count = whole ? kTokens : tokens;
  Products<halves> products[2];
  __m512 acc[kTokens];
#pragma GCC unroll 16
  for (int t = 0; t < count; ++t)
    acc[t] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(out + static_cast<size_t>(t) * out_stride);
  multiply<halves, whole>(slice, acts, act_stride, products[0]);
  for (int s = 0; s < n; ++s, slice += slice_bytes(1, halves, mins), acts += sizeof(ActBlock)) {
    if (s + 1 < n)
      multiply<halves, whole>(slice + slice_bytes(1, halves, mins), acts + sizeof(ActBlock), act_stride,
                              products[(s + 1) % 2]);
#pragma GCC unroll 16
    for (int t = 0; t < count; ++t) {
      const auto& x = *reinterpret_cast<const ActBlock*>(acts + static_cast<size_t>(t) * act_stride);
      acc[t] = add_up<halves, mins>(slice, x, t, products[s % 2], acc[t]);
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < count; ++t) _mm512_storeu_ps(out + static_cast<size_t>(t) * out_stride, acc[t]);
}

template <int halves, bool mins>
void run(const TileArgs& a) {
  const int tail = static_cast<int>(a.T % kTokens);
  const TileConfig config = config_for(halves, tail);
  asm volatile("" ::"r"(&config) : "memory");  // GCC's intrinsic only says that it reads a pointer's worth of it
  _tile_loadconfig(&config);
  const size_t out_stride = static_cast<size_t>(a.panels) * kPanelRows;
  for (int r = 0; r < a.panels; ++r) {
    const uint8_t* slices = a.slices + static_cast<size_t>(r * kSlices) * slice_bytes(1, halves, mins);
    for (int64_t t = 0; t < a.T; t += kTokens) {
      const std::byte* acts = a.acts + static_cast<size_t>(t) * a.act_stride;
      float* out = a.acc + static_cast<size_t>(t) * out_stride + r * kPanelRows;
      if (a.T - t >= kTokens)
        tile<halves, mins, true>(slices, a.n, acts, a.act_stride, out, out_stride, a.first, kTokens);
      else tile<halves, mins, false>(slices, a.n, acts, a.act_stride, out, out_stride, a.first, tail);
    }
  }
  _tile_release();
}

}  // namespace

void multiply_tiles_amx(const SliceKind& kind, const TileArgs& a) {
  if (a.T < kFewestTokens) return multiply_tiles_avx512(kind, a);
  if (kind.halves == 1) return kind.mins ? run<1, true>(a) : run<1, false>(a);
  return kind.mins ? run<2, true>(a) : run<2, false>(a);
}

}  // namespace kinglet::simd
