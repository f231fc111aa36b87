#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/rows.h"

namespace kinglet {
namespace {
#include "kernels/simd/avx2.inl"
// The order matters: each uses what is above it.
// clang-format off
#include "kernels/simd/math.inl"
#include "kernels/simd/lanes.inl"
#include "kernels/simd/attention.inl"
// clang-format on
}  // namespace

void fill_avx2_attention(KernelTable& table) { fill_attention(table); }

}  // namespace kinglet
