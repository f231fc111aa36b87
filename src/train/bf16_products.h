// Products of f32 matrices whose factors are rounded to bf16 and whose sums are f32, two values of K at a time: for processors
// that multiply bf16 (AVX-512 BF16). A *pair* is two bf16 of consecutive K in 32 bits, the lower one first; where K is odd, the last
// one's upper half is zero. Single-threaded; every element is one fixed sequence of operations, whatever the cut into tiles.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace kinglet::train {

/// C (M, N) (=|+=) A (M, K) B (K, N), K counted in pairs.
struct PairBlock {
  const uint32_t* a;
  int64_t a_row, a_column;  ///< pair (m, k) at a[m * a_row + k * a_column]; one of the two is 1
  const uint32_t* b;        ///< pair (k, n) of a panel at b[k * panel_columns + n]; whole panels can be read
  int64_t b_panel;          ///< pairs from one panel of panel_columns columns to the next
  float* c;
  int64_t c_row;
  int64_t M, N, K;
  bool add;
};

struct Bf16Kernels {
  int64_t panel_columns;
  void (*product)(const PairBlock& block);
  /// Pairs along a row: `rows` rows of K values, to out[i * out_row + k].
  void (*pair_along)(const float* x, int64_t x_row, int64_t rows, int64_t K, uint32_t* out, int64_t out_row);
  /// Pairs of rows: K rows of `columns` values, to out[k * out_row + column].
  void (*pair_rows)(const float* x, int64_t x_row, int64_t K, int64_t columns, uint32_t* out, int64_t out_row);
};

/// Of a row of kernels; null where it has none.
const Bf16Kernels* bf16_kernels(const KernelTable& row);

const Bf16Kernels& avx512_bf16_kernels();

}  // namespace kinglet::train
