// Weights without blocks, on AVX-512.
#include "kernels/x86/vec_avx512.h"
// The vector operations come first: the others are written in them.
#include "kernels/simd/matmul_float.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {

void fill_avx512_float(KernelTable& table) { fill_float<DType::f32, DType::f16, DType::bf16>(table); }

}  // namespace kinglet
