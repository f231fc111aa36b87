#include "train/bf16_products.h"

#include <immintrin.h>

namespace kinglet::train {
namespace {

constexpr int kTileRows = 6, kPanelVectors = 4;  // 6 x 4 sums, 4 loads, a broadcast
constexpr int64_t kLanes = 16, kPanelColumns = kLanes * kPanelVectors;

__mmask16 first_lanes(int64_t n) { return n >= kLanes ? 0xffff : static_cast<__mmask16>((1u << n) - 1u); }

/// A tile of C at (a, b, c): R rows, C vectors of which the last holds `last` columns.
template <int R, int C>
inline void tile(const PairBlock& p, const uint32_t* a, const uint32_t* b, float* c, int64_t last) {
  __m512 sums[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) sums[r][j] = _mm512_setzero_ps();
  for (int64_t k = 0; k < p.K; ++k, a += p.a_column, b += kPanelColumns) {
    __m512bh y[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) y[j] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + j * kLanes));
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a[r * p.a_row])));
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) sums[r][j] = _mm512_dpbf16_ps(sums[r][j], x, y[j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) {
      float* out = c + r * p.c_row + j * kLanes;
      const __mmask16 mask = j + 1 < C ? 0xffff : first_lanes(last);
      const __m512 sum = p.add ? _mm512_add_ps(sums[r][j], _mm512_maskz_loadu_ps(mask, out)) : sums[r][j];
      _mm512_mask_storeu_ps(out, mask, sum);
    }
}

/// The last rows, fewer than kTileRows.
template <int R, int C>
inline void rest(const PairBlock& p, int64_t rows, const uint32_t* a, const uint32_t* b, float* c, int64_t last) {
  if constexpr (R > 0) {
    if (rows == R) tile<R, C>(p, a, b, c, last);
    else rest<R - 1, C>(p, rows, a, b, c, last);
  }
}

template <int C>
void panel(const PairBlock& p, int64_t vectors, const uint32_t* b, float* c, int64_t last) {
  if constexpr (C > 0) {
    if (vectors != C) return panel<C - 1>(p, vectors, b, c, last);
    const uint32_t* a = p.a;
    int64_t m = 0;
    for (; m + kTileRows <= p.M; m += kTileRows, a += kTileRows * p.a_row, c += kTileRows * p.c_row)
      tile<kTileRows, C>(p, a, b, c, last);
    rest<kTileRows - 1, C>(p, p.M - m, a, b, c, last);
  }
}

void product(const PairBlock& p) {
  const uint32_t* b = p.b;
  for (int64_t n = 0; n < p.N; n += kPanelColumns, b += p.b_panel) {
    const int64_t columns = p.N - n < kPanelColumns ? p.N - n : kPanelColumns,
                  vectors = (columns + kLanes - 1) / kLanes;
    panel<kPanelVectors>(p, vectors, b, p.c + n, columns - (vectors - 1) * kLanes);
  }
}

/// bf16 of `low` in the lower half, of `high` in the upper one.
inline __m512i rounded(__m512 low, __m512 high) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)); }

void pair_along(const float* x, int64_t x_row, int64_t rows, int64_t K, uint32_t* out, int64_t out_row) {
  constexpr int64_t kStep = 2 * kLanes;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < K; k += kStep) {
      const float* from = x + i * x_row + k;
      const __m512i pairs = rounded(
          _mm512_maskz_loadu_ps(first_lanes(K - k), from),
          K - k > kLanes ? _mm512_maskz_loadu_ps(first_lanes(K - k - kLanes), from + kLanes) : _mm512_setzero_ps());
      _mm512_mask_storeu_epi32(out + i * out_row + k / 2, first_lanes((K - k + 1) / 2), pairs);
    }
}

void pair_rows(const float* x, int64_t x_row, int64_t K, int64_t columns, uint32_t* out, int64_t out_row) {
  const __m512i by_column = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                             21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  for (int64_t k = 0; k < K; k += 2)
    for (int64_t n = 0; n < columns; n += kLanes) {
      const __mmask16 mask = first_lanes(columns - n);
      const float* from = x + k * x_row + n;
      const __m512 low = _mm512_maskz_loadu_ps(mask, from);
      const __m512 high = k + 1 < K ? _mm512_maskz_loadu_ps(mask, from + x_row) : _mm512_setzero_ps();
      _mm512_mask_storeu_epi32(out + k / 2 * out_row + n, mask,
                               _mm512_permutexvar_epi16(by_column, rounded(low, high)));
    }
}

}  // namespace

const Bf16Kernels& avx512_bf16_kernels() {
  static constexpr Bf16Kernels kKernels{kPanelColumns, product, pair_along, pair_rows};
  return kKernels;
}

}  // namespace kinglet::train
