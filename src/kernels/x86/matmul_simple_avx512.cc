// The types with blocks of 32 values, on AVX-512 VNNI.
#include "kernels/x86/vec_avx512.h"
// The vector operations come first: the others are written in them.
#include "kernels/simd/matmul_quantized.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {

void fill_avx512_simple(KernelTable& table) {
  fill_quantized<DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0, DType::iq4_nl>(table);
}

}  // namespace kinglet
