#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "train/kernels.h"

namespace kinglet::train {
namespace {
#include "kernels/simd/avx2.inl"
// The order matters: each uses what is above it.
// clang-format off
#include "kernels/simd/math.inl"
#include "kernels/simd/lanes.inl"
#include "train/simd/dropout.inl"
#include "train/simd/gradients.inl"
#include "train/x86/transpose.inl"
#include "train/simd/product.inl"
#include "train/simd/table.inl"
// clang-format on
}  // namespace

const GradientKernels& avx2_gradients() {
  static const Table table;
  return table;
}

}  // namespace kinglet::train
