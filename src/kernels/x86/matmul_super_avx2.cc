// The types with super-blocks of 256 values, on AVX2.
#include "kernels/x86/vec_avx2.h"
// The vector operations come first: the others are written in them.
#include "kernels/simd/matmul_quantized.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {

void fill_avx2_super(KernelTable& table) { fill_super<simd::multiply_tiles_avx2>(table); }

}  // namespace kinglet
