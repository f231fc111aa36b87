#include <immintrin.h>

#include "kernels/x86/vec_avx2.h"
// The vector operations come first.
#include "kernels/simd/tiles.h"
#include "kernels/simd/unrolled.h"

namespace kinglet::simd {
namespace {

/// What differs between types in how the products of a slice's integers are added up.
struct Sums {
  bool words = false;  ///< weights are words, and sums of 32 bits; else bytes without a sign, and 16 bits
  int start_bits =
      0;  ///< sums of 16 bits start at the activations' pairs shifted left by so much: only what they end at must fit
  int back_bits = 0;  ///< and this much of it is taken back in 32 bits: the weights have no offset
};

/// dot[v][t] = the products of `quads` quads from the first-th of a slice, of both vectors v of rows and TT tokens. vpmaddubsw adds two
/// products in 16 bits. There 15 * 127 * 2 * 8 and 3 * 127 * 2 * 4 fit; with an offset, weights of five bits are -16 to 15 and
/// 16 * 127 * 2 * 8 fits, 32 * 127 * 2 * 4 for those of six. On the way there sums may wrap.
template <Sums kind, int first, int quads, int TT>
KL_INLINE void add_bytes(const uint8_t* slice, const ActBlock* const x[TT], __m256i dot[2][TT]) {
  unrolled<quads * 2 * TT>([&]<int n>() __attribute__((always_inline)) {
    constexpr int j = n / (2 * TT), t = n / 2 % TT, v = n % 2;
    const __m256i w = Vec::load(slice + 64 * (first + j) + 32 * v);
    const __m256i p = _mm256_maddubs_epi16(w, Vec::quad(x[t]->q, first + j));
    if constexpr (j > 0) {
      dot[v][t] = Vec::chain16(dot[v][t], p);
    } else if constexpr (kind.start_bits != 0) {
      const int16_t* pairs = quads == 8 ? x[t]->pairs : x[t]->pairs16[first / 4];
      int32_t both;
      __builtin_memcpy(&both, pairs, sizeof(both));
      dot[v][t] = Vec::chain16(Vec::left16<kind.start_bits>(Vec::set32(both)), p);
    } else {
      dot[v][t] = p;
    }
  });
  unrolled<2 * TT>([&]<int n>() __attribute__((always_inline)) {
    constexpr int v = n % 2, t = n / 2;
    dot[v][t] = Vec::pairs(dot[v][t]);
    if constexpr (kind.back_bits != 0)
      dot[v][t] = Vec::sub32(dot[v][t], Vec::right32<7 - kind.back_bits>(Vec::set32(x[t]->bias)));
  });
}

/// The same of a whole slice of words.
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

/// One panel (two vectors of rows) x TT tokens: n slices. The sums of the products in flight fill the 16 registers; which of the
/// float accumulators go to memory is the compiler's choice. The float operations on one accumulator are in the order of
/// the direct kernels in matmul_quantized.h, so that both give the same bits.
template <int halves, bool mins, Sums kind, int TT>
void tile(const uint8_t* slice, int n, const std::byte* acts, size_t act_stride, float* out, bool first) {
  constexpr int kQuads = 8 / halves, kScales = kind.words ? 1024 : 512;
  __m256 acc[2][TT];
  unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
    acc[i % 2][i / 2] = first ? Vec::zero() : _mm256_load_ps(out + 8 * i);
  });
  for (int s = 0; s < n; ++s, slice += slice_bytes(kind.words ? 2 : 1, halves, mins), acts += sizeof(ActBlock)) {
    const ActBlock* x[TT];
    // The next tile's activations are fetched: each token's stretch is too short for the processor's own prefetcher.
    for (int t = 0; t < TT; ++t) {
      x[t] = reinterpret_cast<const ActBlock*>(acts + static_cast<size_t>(t) * act_stride);
      _mm_prefetch(reinterpret_cast<const char*>(x[t]) + static_cast<size_t>(TT) * act_stride, _MM_HINT_T0);
    }
    const float* scales = reinterpret_cast<const float*>(slice + kScales);
    __m256 sum[2][TT];
    unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
      __m256i dot[2][TT];
      if constexpr (kind.words) add_words<TT>(slice, x, dot);
      else add_bytes<kind, kQuads * half, kQuads, TT>(slice, x, dot);
      unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
        constexpr int v = i % 2, t = i / 2;
        const __m256 f = Vec::to_float(dot[v][t]), scale = _mm256_load_ps(scales + 16 * half + 8 * v);
        sum[v][t] = half == 0 ? Vec::mul(f, scale) : Vec::fmadd(f, scale, sum[v][t]);
      });
    });
    unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) {
      constexpr int v = i % 2, t = i / 2;
      __m256 y = Vec::fmadd(sum[v][t], Vec::set(x[t]->scale), acc[v][t]);
      if constexpr (mins) {
        unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
          const float sum16 = halves == 1 ? x[t]->scaled_sum : scaled_sum16(*x[t], half);
          y = Vec::fnmadd(_mm256_load_ps(scales + 16 * (halves + half) + 8 * v), Vec::set(sum16), y);
        });
      }
      acc[v][t] = y;
    });
  }
  unrolled<2 * TT>([&]<int i>() __attribute__((always_inline)) { _mm256_store_ps(out + 8 * i, acc[i % 2][i / 2]); });
}

constexpr int kWidest = 4;

template <int halves, bool mins, Sums kind>
void run(const TileArgs& a) {
  constexpr void (*kTiles[])(const uint8_t*, int, const std::byte*, size_t, float*, bool) = {
      nullptr, tile<halves, mins, kind, 1>, tile<halves, mins, kind, 2>, tile<halves, mins, kind, 3>,
      tile<halves, mins, kind, 4>};
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
    if (kind.group == 1) return run<1, false, Sums{.words = true}>(a);  // q8_0, iq4
    if (kind.group == 8)
      return kind.mins ? run<1, true, Sums{}>(a) : run<1, false, Sums{.start_bits = 3}>(a);  // q4_1, q4_k; q4_0
    if (kind.mins) return run<1, true, Sums{.start_bits = 4, .back_bits = 4}>(a);            // q5_1, q5_k
    return run<1, false, Sums{.start_bits = 4}>(a);                                          // q5_0
  }
  if (kind.mins) return run<2, true, Sums{}>(a);                        // q2_k
  if (kind.group == 4) return run<2, false, Sums{.start_bits = 2}>(a);  // q3_k
  return run<2, false, Sums{.start_bits = 5}>(a);                       // q6_k
}

}  // namespace kinglet::simd
