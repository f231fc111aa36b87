// bf16 weights on processors that multiply bf16: activations are rounded to bf16, as llama.cpp does for such files; sums are f32. A vector
// is a pair of K of a panel's 16 rows, a pair of a token's activations is broadcast, every output is one chain along K.
#include "kernels/x86/vec_avx512.h"
// The vector operations come first.
#include "kernels/x86/weights_x86.h"

namespace kinglet {
namespace {

constexpr int kTokens = 6, kPanels = 4;                  // 24 sums, 4 loads, a broadcast: what the registers hold
constexpr int64_t kDepth = 512;                          // values of K that all tokens of a block pass by at a time
constexpr int64_t kTokenBlock = 256, kBlockPanels = 16;  // whose activations and sums stay in the second-level cache

constexpr int64_t even(int64_t n) { return n + n % 2; }

void round_rows(const float* x, int64_t x_stride, int64_t T, int64_t K, std::byte* out, size_t out_stride) {
  const auto lanes = [](int64_t count) {
    return count >= 16 ? __mmask16{0xffff} : static_cast<__mmask16>((1u << count) - 1);
  };
  for (int64_t t = 0; t < T; ++t, x += x_stride, out += out_stride) {
    for (int64_t k = 0; k < K; k += 16) {
      const __m512 values = _mm512_maskz_loadu_ps(lanes(K - k), x + k);
      _mm256_mask_storeu_epi16(out + 2 * k, lanes(even(K - k)), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)));
    }
  }
}

/// Some panels' stretch of K, and some tokens' activations there.
struct Stretch {
  const std::byte* panels;
  size_t panel_bytes;
  const uint16_t* acts;
  int64_t act_stride;
  int64_t K;
};

KL_INLINE void add_products(__m512& acc, __m512i w, int32_t pair) {
  acc = _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(w), reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)));
}

KL_INLINE int32_t load_pair(const uint16_t* x) {
  int32_t pair;
  __builtin_memcpy(&pair, x, sizeof(pair));
  return pair;
}

/// Whether a tile fetches its panels ahead. Where they come from memory, once, the processor's own prefetcher follows better by itself;
/// a stretch that passes by once for each tile of tokens is larger than the first-level cache.
enum class Fetch : uint8_t { no, yes };

/// acc (TT tokens, R panels, 16) += the products of a stretch.
template <Fetch fetch, int R, int TT>
void tile(const Stretch& s, float* acc_memory, bool first) {
  __m512 acc[TT][R];
  for (int t = 0; t < TT; ++t)
    for (int r = 0; r < R; ++r)
      acc[t][r] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(acc_memory + 16 * (t * R + r));
  const std::byte* panel[R];
  for (int r = 0; r < R; ++r) panel[r] = s.panels + static_cast<size_t>(r) * s.panel_bytes;
  for (int64_t k = 0; k + 1 < s.K; k += 2) {
    if constexpr (fetch == Fetch::yes) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) _mm_prefetch(reinterpret_cast<const char*>(panel[r] + 32 * k + 512), _MM_HINT_T0);
    }
    __m512i w[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) w[r] = _mm512_loadu_si512(panel[r] + 32 * k);
#pragma GCC unroll 8
    for (int t = 0; t < TT; ++t) {
      const int32_t pair = load_pair(s.acts + t * s.act_stride + k);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) add_products(acc[t][r], w[r], pair);
    }
  }
  if (s.K % 2 != 0) {
    for (int r = 0; r < R; ++r) {
      const __m512i w = Vec::words(reinterpret_cast<const uint8_t*>(panel[r]) + 32 * (s.K - 1));
      for (int t = 0; t < TT; ++t) add_products(acc[t][r], w, load_pair(s.acts + t * s.act_stride + s.K - 1));
    }
  }
  for (int t = 0; t < TT; ++t)
    for (int r = 0; r < R; ++r) _mm512_storeu_ps(acc_memory + 16 * (t * R + r), acc[t][r]);
}

using Tile = void (*)(const Stretch&, float*, bool);
template <Fetch f, int R>
constexpr Tile kTiles[kTokens + 1] = {nullptr,       tile<f, R, 1>, tile<f, R, 2>, tile<f, R, 3>,
                                      tile<f, R, 4>, tile<f, R, 5>, tile<f, R, 6>};

/// T tokens in tiles of nearly equal size.
template <Fetch fetch>
void multiply_tokens(Stretch s, int panels, int64_t T, float* acc, bool first) {
  const Tile* tiles = panels == kPanels ? kTiles<fetch, kPanels> : kTiles<fetch, 1>;
  const int64_t count = (T + kTokens - 1) / kTokens;
  const uint16_t* acts = s.acts;
  for (int64_t i = 0, t = 0; i < count; ++i) {
    const int64_t end = T * (i + 1) / count;
    s.acts = acts + t * s.act_stride;
    tiles[end - t](s, acc + t * panels * 16, first);
    t = end;
  }
}

/// Of panels [p, p + panels) in groups as large as the registers hold: f(first panel, how many).
template <typename F>
KL_INLINE void for_groups(int64_t panels, F&& f) {
  for (int64_t i = 0; i < panels;) {
    const int count = i + kPanels <= panels ? kPanels : 1;
    f(i, count);
    i += count;
  }
}

Stretch stretch_of(const MatmulArgs& a, int64_t t0, int64_t p, int64_t k, int64_t depth) {
  return {a.panels + static_cast<size_t>(p) * a.panel_bytes + 32 * k, a.panel_bytes,
          reinterpret_cast<const uint16_t*>(a.acts + static_cast<size_t>(t0) * a.act_stride) + k,
          static_cast<int64_t>(a.act_stride / sizeof(uint16_t)), depth};
}

/// A few tokens: all of K at once, panel after panel.
void multiply_few(const MatmulArgs& a) {
  alignas(64) float acc[16 * kTokens * kPanels];
  for_groups(a.panel_end - a.panel_begin, [&](int64_t i, int count) {
    const int64_t p = a.panel_begin + i;
    multiply_tokens<Fetch::no>(stretch_of(a, 0, p, 0, a.K), count, a.T, acc, true);
    for (int64_t t = 0; t < a.T; ++t)
      for (int r = 0; r < count; ++r)
        Vec::write_output(a, t, (p + r) * kPanelRows, _mm512_load_ps(acc + 16 * (t * count + r)));
  });
}

/// Tokens [t0, t0 + T) times panels [p, p + panels): a stretch of K at a time for all of them.
void multiply_block(const MatmulArgs& a, int64_t t0, int64_t T, int64_t p, int64_t panels) {
  auto* acc = reinterpret_cast<float*>(a.scratch);
  for (int64_t k = 0; k < a.K; k += kDepth) {
    const int64_t depth = a.K - k < kDepth ? a.K - k : kDepth;
    for_groups(panels, [&](int64_t i, int count) {
      multiply_tokens<Fetch::yes>(stretch_of(a, t0, p + i, k, depth), count, T, acc + i * T * 16, k == 0);
    });
  }
  for_groups(panels, [&](int64_t i, int count) {
    for (int64_t t = 0; t < T; ++t)
      for (int r = 0; r < count; ++r)
        Vec::write_output(a, t0 + t, (p + i + r) * kPanelRows, _mm512_loadu_ps(acc + (i * T + t * count + r) * 16));
  });
}

void matmul_bf16(const MatmulArgs& a) {
  if (a.T <= kTokens) return multiply_few(a);
  for (int64_t t0 = 0; t0 < a.T; t0 += kTokenBlock) {
    const int64_t T = a.T - t0 < kTokenBlock ? a.T - t0 : kTokenBlock;
    for (int64_t p = a.panel_begin; p < a.panel_end; p += kBlockPanels)
      multiply_block(a, t0, T, p, a.panel_end - p < kBlockPanels ? a.panel_end - p : kBlockPanels);
  }
}

size_t scratch_bytes(int64_t T, int64_t) {
  return T <= kTokens ? 0 : static_cast<size_t>(kTokenBlock * kBlockPanels) * 16 * sizeof(float);
}

}  // namespace

void fill_avx512bf16_weights(KernelTable& table) {
  table.round_rows = round_rows;
  WeightKernels& w = table.weights[static_cast<size_t>(DType::bf16)];
  w.act = ActKind::bf16;
  w.matmul = matmul_bf16;
  w.matmul_scratch_bytes = scratch_bytes;
}

}  // namespace kinglet
