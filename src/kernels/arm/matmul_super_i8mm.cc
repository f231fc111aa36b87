// The types with super-blocks of 256 values, on Arm's products of int8 matrices.
#include "kernels/arm/vec_neon.h"
// The vector operations come first: the others are written in them.
#include "kernels/arm/weights_neon.h"
#include "kernels/simd/matmul_quantized.h"

namespace kinglet {

void fill_i8mm_super(KernelTable& table) {
  fill_quantized<DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_xs>(table);
}

}  // namespace kinglet
