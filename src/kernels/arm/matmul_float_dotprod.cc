// Weights without blocks, on NEON, for the row with dot products.
#include "kernels/arm/vec_neon.h"
// The vector operations come first: the others are written in them.
#include "kernels/arm/weights_neon.h"
#include "kernels/simd/matmul_float.h"

namespace kinglet {

void fill_dotprod_float(KernelTable& table) { fill_float<DType::f32, DType::f16, DType::bf16>(table); }

}  // namespace kinglet
