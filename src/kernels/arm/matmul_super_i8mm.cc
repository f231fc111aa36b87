// The types with super-blocks of 256 values, on Arm's products of int8 matrices.
#include "kernels/arm/vec_neon.h"
// The vector operations come first: the others are written in them.
#include "kernels/arm/weights_neon.h"
#include "kernels/simd/matmul_quantized.h"

namespace kinglet {

void fill_i8mm_super(KernelTable& table) { fill_super<simd::multiply_tiles_i8mm>(table); }

}  // namespace kinglet
