// f32, f16 and bf16 weights with f32 activations on AVX-512: a vector is one K of the 16 rows of a panel, activations are
// broadcast, every output is one chain of fused multiply-adds along K.
#include <immintrin.h>

#include "kernels/x86/output_avx512.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {
namespace {

/// One K of 16 rows, `k` values from the start of a panel.
template <DType type>
inline __m512 load_weights(const std::byte* panel, int64_t k) {
  if constexpr (type == DType::f32) {
    return _mm512_loadu_ps(panel + 64 * k);
  } else {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + 32 * k));
    if constexpr (type == DType::f16) return _mm512_cvtph_ps(bits);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
}

/// Panels [p, p + R) times tokens [t0, t0 + TT).
template <DType type, int R, int TT>
void tile(const MatmulArgs& a, int64_t p, int64_t t0) {
  const std::byte* panel[R];
  const float* x[TT];
  __m512 acc[R][TT];
  for (int r = 0; r < R; ++r) panel[r] = a.panels + static_cast<size_t>(p + r) * a.panel_bytes;
  for (int t = 0; t < TT; ++t) x[t] = reinterpret_cast<const float*>(a.acts + static_cast<size_t>(t0 + t) * a.act_stride);
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < TT; ++t) acc[r][t] = _mm512_setzero_ps();
  for (int64_t k = 0; k < a.K; ++k) {
    __m512 w[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) w[r] = load_weights<type>(panel[r], k);
#pragma GCC unroll 8
    for (int t = 0; t < TT; ++t) {
      const __m512 v = _mm512_set1_ps(x[t][k]);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) acc[r][t] = _mm512_fmadd_ps(w[r], v, acc[r][t]);
    }
  }
  for (int t = 0; t < TT; ++t)
    for (int r = 0; r < R; ++r) write_output(a, t0 + t, (p + r) * kPanelRows, acc[r][t]);
}

template <DType type, int R>
void all_tokens(const MatmulArgs& a, int64_t p) {
  constexpr int64_t kWidest = 6;  // rows of x share cache sets where K is a power of two: stay below the associativity
  constexpr void (*kTiles[])(const MatmulArgs&, int64_t, int64_t) = {
      nullptr, tile<type, R, 1>, tile<type, R, 2>, tile<type, R, 3>, tile<type, R, 4>, tile<type, R, 5>, tile<type, R, 6>};
  const int64_t count = (a.T + kWidest - 1) / kWidest;
  for (int64_t i = 0, t = 0; i < count; ++i) {
    const int64_t end = a.T * (i + 1) / count;
    kTiles[end - t](a, p, t);
    t = end;
  }
}

template <DType type>
void matmul(const MatmulArgs& a) {
  constexpr int kPanels = 4;
  int64_t p = a.panel_begin;
  for (; p + kPanels <= a.panel_end; p += kPanels) all_tokens<type, kPanels>(a, p);
  for (; p < a.panel_end; ++p) all_tokens<type, 1>(a, p);
}

template <DType... types>
void fill(KernelTable& table) {
  ((table.weights[static_cast<size_t>(types)].act = ActKind::f32, table.weights[static_cast<size_t>(types)].matmul = matmul<types>,
    table.weights[static_cast<size_t>(types)].matmul_scratch_bytes = nullptr),
   ...);
}

}  // namespace

void fill_avx512_float(KernelTable& table) { fill<DType::f32, DType::f16, DType::bf16>(table); }

}  // namespace kinglet
