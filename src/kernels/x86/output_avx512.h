// From accumulators to the output of a matrix product, for files built for AVX-512.
#pragma once

#include <immintrin.h>

#include "kernels/kernels.h"

namespace kinglet {
namespace {

/// out[t, n .. n + 16) (=|+=) y + bias for the columns below N.
inline void write_output(const MatmulArgs& a, int64_t t, int64_t n, __m512 y) {
  const int64_t left = a.N - n;
  const __mmask16 mask = left >= kPanelRows ? 0xffff : static_cast<__mmask16>((1u << left) - 1);
  float* out = a.out + t * a.out_stride + n;
  if (a.bias != nullptr) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, a.bias + n));
  if (a.epilogue == Epilogue::add) y = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), y);
  _mm512_mask_storeu_ps(out, mask, y);
}

}  // namespace
}  // namespace kinglet
