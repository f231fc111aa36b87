// The types with super-blocks of 256 values, on Arm's dot products.
#include "kernels/arm/vec_neon.h"
// The vector operations come first: the others are written in them.
#include "kernels/arm/weights_neon.h"
#include "kernels/simd/matmul_quantized.h"

namespace kinglet {

void fill_dotprod_super(KernelTable& table) { fill_super<simd::multiply_tiles_dotprod>(table); }

}  // namespace kinglet
