#include <immintrin.h>

#include "kernels/x86/vec_avx2.h"
// The vector operations come first.
#include "kernels/simd/tiles.h"
#include "kernels/simd/unrolled.h"

namespace kinglet::simd {
namespace {

/// What differs between types in how the products of a slice's integers are added up.
struct Sums {
  bool mins = false;
  bool words = false;  ///< weights are words, and sums of 32 bits; else bytes without a sign, and 16 bits
  int start_bits =
      0;  ///< sums of 16 bits start at the activations' pairs shifted left by so much: only what they end at must fit
  int back_bits = 0;  ///< and this much of it is taken back in 32 bits: the weights have no offset
};

/// dot[v][t] = the products of `quads` quads from the first-th of a slice, of both vectors v of rows and TT tokens, in pairs of
/// 16 bits. vpmaddubsw adds two products. There 15 * 127 * 2 * 8 and 3 * 127 * 2 * 4 fit; with an offset, weights of five bits are
/// -16 to 15 and 16 * 127 * 2 * 8 fits, 32 * 127 * 2 * 4 for those of six. On the way there sums may wrap.
template <int start_bits, int first, int quads, int TT>
KL_INLINE void add_bytes(const uint8_t* slice, const ActBlock* const x[TT], __m256i dot[2][TT]) {
  unrolled<quads * 2 * TT>([&]<int n>() __attribute__((always_inline)) {
    constexpr int j = n / (2 * TT), t = n / 2 % TT, v = n % 2;
    const __m256i w = Vec::load(slice + 64 * (first + j) + 32 * v);
    const __m256i p = _mm256_maddubs_epi16(w, Vec::quad(x[t]->q, first + j));
    if constexpr (j > 0) {
      dot[v][t] = Vec::chain16(dot[v][t], p);
    } else if constexpr (start_bits != 0) {
      const int16_t* pairs = quads == 8 ? x[t]->pairs : x[t]->pairs16[first / 4];
      int32_t both;
      __builtin_memcpy(&both, pairs, sizeof(both));
      dot[v][t] = Vec::chain16(Vec::left16<start_bits>(Vec::set32(both)), p);
    } else {
      dot[v][t] = p;
    }
  });
}

/// The same of a whole slice of words, in 32 bits.
template <int TT>
KL_INLINE void add_words(const uint8_t* slice, const ActBlock* const x[TT], __m256i dot[2][TT]) {
  alignas(32) int32_t words[TT][16];  // two words each
  unrolled<TT>([&]<int t>() __attribute__((always_inline)) {
    const auto* q = reinterpret_cast<const __m128i*>(x[t]->q);
    auto* to = reinterpret_cast<__m256i*>(words[t]);
    _mm256_store_si256(to, _mm256_cvtepi8_epi16(_mm_loadu_si128(q)));
    _mm256_store_si256(to + 1, _mm256_cvtepi8_epi16(_mm_loadu_si128(q + 1)));
  });
  asm("" : "+m"(words));  // broadcasts are to come from memory: out of registers they take three instructions each
  unrolled<16 * 2 * TT>([&]<int n>() __attribute__((always_inline)) {
    constexpr int j = n / (2 * TT), t = n / 2 % TT, v = n % 2;
    const __m256i p = _mm256_madd_epi16(Vec::load(slice + 64 * j + 32 * v), Vec::set32(words[t][j]));
    dot[v][t] = j == 0 ? p : Vec::chain32(dot[v][t], p);
  });
}

/// Activations of the slice at `acts`.
template <int TT>
KL_INLINE void blocks_at(const std::byte* acts, size_t act_stride, const ActBlock* x[TT]) {
  for (int t = 0; t < TT; ++t) x[t] = reinterpret_cast<const ActBlock*>(acts + static_cast<size_t>(t) * act_stride);
}

/// acc[v][t] -= both rows' minimums times the token's sum.
template <int TT, class Sum>
KL_INLINE void take_mins(const float* mins, Sum&& sum, __m256 acc[2][TT]) {
  unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
    constexpr int v = i % 2, t = i / 2;
    acc[v][t] = Vec::fnmadd(_mm256_load_ps(mins + 8 * v), Vec::set(sum(t)), acc[v][t]);
  });
}

/// The accumulators of a tile, (TT, 16) in memory. Some stay in registers; which is the compiler's choice.
template <int TT>
KL_INLINE void load_accumulators(const float* from, bool zero, __m256 acc[2][TT]) {
  unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
    acc[i % 2][i / 2] = zero ? Vec::zero() : _mm256_load_ps(from + 8 * i);
  });
}
template <int TT>
KL_INLINE void store_accumulators(const __m256 acc[2][TT], float* to) {
  unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) { _mm256_store_ps(to + 8 * i, acc[i % 2][i / 2]); });
}

/// One panel (two vectors of rows) x TT tokens: n slices. The sums of the products in flight fill the 16 registers. The float
/// operations on one accumulator are in the order of the direct kernels in matmul_quantized.h, so that both give the same bits.
template <Sums kind, int TT>
void tile(const uint8_t* slice, int n, const std::byte* acts, size_t act_stride, float* out, bool first) {
  constexpr int kScales = kind.words ? 1024 : 512;
  __m256 acc[2][TT];
  load_accumulators<TT>(out, first, acc);
  for (int s = 0; s < n; ++s, slice += slice_bytes(kind.words ? 2 : 1, 1, kind.mins), acts += sizeof(ActBlock)) {
    const ActBlock* x[TT];
    blocks_at<TT>(acts, act_stride, x);
    const float* scales = reinterpret_cast<const float*>(slice + kScales);
    __m256i dot[2][TT];
    if constexpr (kind.words) add_words<TT>(slice, x, dot);
    else add_bytes<kind.start_bits, 0, 8, TT>(slice, x, dot);
    unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
      constexpr int v = i % 2, t = i / 2;
      if constexpr (!kind.words) dot[v][t] = Vec::pairs(dot[v][t]);
      if constexpr (kind.back_bits != 0)
        dot[v][t] = Vec::sub32(dot[v][t], Vec::right32<7 - kind.back_bits>(Vec::set32(x[t]->bias)));
      const __m256 sum = Vec::mul(Vec::to_float(dot[v][t]), _mm256_load_ps(scales + 8 * v));
      acc[v][t] = Vec::fmadd(sum, Vec::set(x[t]->scale), acc[v][t]);
    });
    if constexpr (kind.mins)
      take_mins<TT>(
          scales + 16, [&](int t) { return x[t]->scaled_sum; }, acc);
  }
  store_accumulators<TT>(acc, out);
}

/// The same of a type with integer scales, which vpmaddwd multiplies by while it adds.
struct SuperSums {
  int halves = 1;  ///< scales in a slice
  int quads = 8;   ///< that fit sums of 16 bits
  bool mins = false;
  int start_bits = 0;  ///< as in Sums
};

/// The same for n / 8 super-blocks, each as simd::super_slice_bytes says.
template <SuperSums kind, int TT>
void super_tile(const uint8_t* slice, int n, const std::byte* acts, size_t act_stride, float* out, bool first) {
  constexpr size_t kStride = super_slice_bytes(kind.halves, kind.mins);
  for (int s = 0; s < n; s += 8, slice += 8 * kStride, acts += 8 * sizeof(ActBlock)) {
    __m256 sum[2][TT];
    load_accumulators<TT>(nullptr, true, sum);
    for (int i = 0; i < 8; ++i) {
      const ActBlock* x[TT];
      blocks_at<TT>(acts + i * sizeof(ActBlock), act_stride, x);
      const uint8_t* quads = slice + i * kStride;
      __m256i total[2][TT];
      unrolled<8 / kind.quads>([&]<int g>() __attribute__((always_inline)) {
        __m256i dot[2][TT];
        add_bytes<kind.start_bits, g * kind.quads, kind.quads, TT>(quads, x, dot);
        const uint8_t* scales = quads + 512 + (kind.halves == 1 ? 0 : 64 * g);
        unrolled<2 * TT>([&]<int j>() __attribute__((always_inline)) {
          constexpr int v = j % 2, t = j / 2;
          const __m256i scaled = _mm256_madd_epi16(dot[v][t], Vec::load(scales + 32 * v));
          total[v][t] = g == 0 ? scaled : Vec::chain32(total[v][t], scaled);
        });
      });
      unrolled<2 * TT>([&]<int j>() __attribute__((always_inline)) {
        constexpr int v = j % 2, t = j / 2;
        sum[v][t] = Vec::fmadd(Vec::to_float(total[v][t]), Vec::set(x[t]->scale), sum[v][t]);
      });
    }
    __m256 acc[2][TT];
    load_accumulators<TT>(out, first && s == 0, acc);
    if constexpr (kind.mins) {
      for (int i = 0; i < 8; ++i) {
        const ActBlock* x[TT];
        blocks_at<TT>(acts + i * sizeof(ActBlock), act_stride, x);
        const float* mins = reinterpret_cast<const float*>(slice + i * kStride + 512 + 64 * kind.halves);
        unrolled<kind.halves>([&]<int half>() __attribute__((always_inline)) {
          take_mins<TT>(
              mins + 16 * half, [&](int t) { return kind.halves == 1 ? x[t]->scaled_sum : scaled_sum16(*x[t], half); },
              acc);
        });
      }
    }
    const float* d = reinterpret_cast<const float*>(slice + kStride - 64);
    unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
      constexpr int v = i % 2, t = i / 2;
      acc[v][t] = Vec::fmadd(sum[v][t], _mm256_load_ps(d + 8 * v), acc[v][t]);
    });
    store_accumulators<TT>(acc, out);
  }
}

constexpr int kWidest = 4;
using Tile = void(const uint8_t*, int, const std::byte*, size_t, float*, bool);

void run(Tile* const tiles[kWidest + 1], const TileArgs& a) {
  const int64_t count = (a.T + kWidest - 1) / kWidest;
  int64_t t = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = a.T * (i + 1) / count;
    tiles[end - t](a.slices, a.n, a.acts + static_cast<size_t>(t) * a.act_stride, a.act_stride, a.acc + 16 * t,
                   a.first);
    t = end;
  }
}

template <Sums kind>
void run(const TileArgs& a) {
  constexpr Tile* kTiles[] = {nullptr, tile<kind, 1>, tile<kind, 2>, tile<kind, 3>, tile<kind, 4>};
  run(kTiles, a);
}
template <SuperSums kind>
void run(const TileArgs& a) {
  constexpr Tile* kTiles[] = {nullptr, super_tile<kind, 1>, super_tile<kind, 2>, super_tile<kind, 3>,
                              super_tile<kind, 4>};
  run(kTiles, a);
}

}  // namespace

void multiply_tiles_avx2(const SliceKind& kind, const TileArgs& a) {
  if (kind.integer_scales) {
    if (kind.halves == 1)
      return kind.group == 8 ? run<SuperSums{.mins = true}>(a)
                             : run<SuperSums{.quads = 4, .mins = true}>(a);                   // q4_k, q5_k
    if (kind.mins) return run<SuperSums{.halves = 2, .quads = 4, .mins = true}>(a);           // q2_k
    if (kind.group == 4) return run<SuperSums{.halves = 2, .quads = 4, .start_bits = 2}>(a);  // q3_k
    return run<SuperSums{.halves = 2, .quads = 4, .start_bits = 5}>(a);                       // q6_k
  }
  if (kind.group == 1) return run<Sums{.words = true}>(a);                                             // q8_0, iq4
  if (kind.group == 8) return kind.mins ? run<Sums{.mins = true}>(a) : run<Sums{.start_bits = 3}>(a);  // q4_1, q4_0
  if (kind.mins) return run<Sums{.mins = true, .start_bits = 4, .back_bits = 4}>(a);                   // q5_1
  run<Sums{.start_bits = 4}>(a);                                                                       // q5_0
}

}  // namespace kinglet::simd
