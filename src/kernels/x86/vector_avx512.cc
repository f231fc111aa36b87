#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/rows.h"

namespace kinglet {
namespace {
#include "kernels/simd/avx512.inl"
// The order matters: each uses what is above it.
// clang-format off
#include "kernels/simd/math.inl"
#include "kernels/simd/lanes.inl"
#include "kernels/simd/vector.inl"
// clang-format on
}  // namespace

void fill_avx512_vector(KernelTable& table) {
  table.vectors = Vectors::avx512;
  fill_vector(table);
  fill_avx512_attention(table);
}

}  // namespace kinglet
