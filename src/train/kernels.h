// What training computes beside the kernels of inference (kernels/kernels.h): plain f32 products and the backward of each
// row-wise operator, one table for each instruction set. Single-threaded; who calls them divides the work.
//
// Every element of a result is one fixed sequence of operations, whatever the cut into tiles, so results depend on no
// thread count (within one table row). Files of x86/ and arm/ are built with wider instruction flags and include only this
// header, intrinsics and simd/*.inl.
//
// Functions that take `add` add to their outputs where it is set, else write them. An output may be the upstream gradient
// dy itself unless its comment says otherwise.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace kinglet::train {

/// C (M, N) (=|+=) A (M, K) B (K, N).
struct ProductBlock {
  const float* a;
  int64_t a_row, a_column;  ///< element (m, k) at a[m * a_row + k * a_column]; one of the two is 1
  const float* b;
  int64_t b_row;    ///< element (k, n) of a panel at b[k * b_row + n]
  int64_t b_panel;  ///< floats from one panel of panel_columns columns to the next
  float* c;
  int64_t c_row;
  int64_t M, N, K;
  bool add;
};

/// A row of scores of one query: `width` of them, of which [begin, end) are seen.
struct ScoreRow {
  int64_t width, begin, end;
  float scale;
  float softcap;  ///< 0: none
};

/// The rows of a norm's backward share these.
struct NormRow {
  const float* x;
  const float* weight;  ///< null: ones
  float eps;
  int64_t n;
};

/// Which values of a row dropout leaves out: those whose 24-bit hash is below `least`. The others are multiplied by `scale`.
struct DropoutRow {
  uint32_t key, second_key;
  int32_t least;
  float scale;
};

struct GradientKernels {
  int64_t panel_columns;  ///< of packed B

  void (*product)(const ProductBlock& block);
  /// out[j * out_row + i] = x[i * x_row + j], i < rows, j < columns.
  void (*transpose)(const float* x, int64_t x_row, int64_t rows, int64_t columns, float* out, int64_t out_row);

  /// dx (=|+=) of one row; dweight += where not null.
  void (*rms_norm)(const NormRow& row, const float* dy, float* dx, bool add, float* dweight);
  /// As above, and dbias += where not null.
  void (*layer_norm)(const NormRow& row, const float* dy, float* dx, bool add, float* dweight, float* dbias);

  /// dgate and dup (=|+=) of out = act(gate) * up.
  void (*silu_mul)(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add);
  void (*gelu_tanh_mul)(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup,
                        bool add);
  void (*gelu_mul)(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add);
  /// dx (=|+=) (1 - (y / cap)^2) dy, from the operator's output y.
  void (*softcap)(const float* y, const float* dy, float cap, int64_t n, float* dx, bool add);
  /// y += factor * x.
  void (*add_scaled)(const float* x, float factor, int64_t n, float* y);
  float (*dot)(const float* a, const float* b, int64_t n);
  /// What dropout multiplies columns [first, first + n) of a row with: 0 or its scale. The same bits in every table.
  void (*dropout_factors)(const DropoutRow& row, int64_t first, int64_t n, float* factors);

  /// max of x, and the sum of exp(x - max).
  void (*sum_exp)(const float* x, int64_t n, float* max, float* sum);
  /// x = factor * exp(x - shift).
  void (*scaled_exp)(float* x, int64_t n, float shift, float factor);

  /// Products s to weights exp(c - max), c = softcap(scale * s), zero where not seen; returns max and the weights' sum.
  void (*attention_weights)(const ScoreRow& row, float* s, float* max, float* sum);
  /// Products s to probabilities p = exp(c - shift), zero where not seen; with a softcap, s becomes c (p and s differ then).
  void (*attention_probabilities)(const ScoreRow& row, float shift, float* s, float* p);
  /// dp becomes ds = p (dp - delta) dc/ds; `c` is read only with a softcap.
  void (*attention_scores)(const ScoreRow& row, float delta, const float* p, const float* c, float* dp);
};

/// The table for a row of kernels (kernels/kernels.h).
const GradientKernels& gradient_kernels(const KernelTable& row);

/// One for each instruction set.
const GradientKernels& reference_gradients();
const GradientKernels& avx2_gradients();
const GradientKernels& avx512_gradients();
const GradientKernels& neon_gradients();

}  // namespace kinglet::train
