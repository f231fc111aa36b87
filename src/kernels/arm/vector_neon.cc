#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/rows.h"

namespace kinglet {
namespace {
#include "kernels/simd/neon.inl"
// The order matters: each uses what is above it.
// clang-format off
#include "kernels/simd/math.inl"
#include "kernels/simd/lanes.inl"
#include "kernels/simd/vector.inl"
// clang-format on
}  // namespace

void fill_neon_vector(KernelTable& table) {
  table.vectors = Vectors::neon;
  fill_vector(table);
  fill_neon_attention(table);
}

}  // namespace kinglet
