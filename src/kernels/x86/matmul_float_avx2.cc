// Weights without blocks, on AVX2.
#include "kernels/x86/vec_avx2.h"
// The vector operations come first: the others are written in them.
#include "kernels/simd/matmul_float.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {

void fill_avx2_float(KernelTable& table) { fill_float<DType::f32, DType::f16, DType::bf16>(table); }

}  // namespace kinglet
