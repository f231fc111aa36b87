// The types with super-blocks of 256 values, on AVX-512 VNNI; on AMX it is another product of tiles alone.
#include "kernels/x86/vec_avx512.h"
// The vector operations come first: the others are written in them.
#include "kernels/simd/matmul_quantized.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {

void fill_avx512_super(KernelTable& table) { fill_super<simd::multiply_tiles_avx512>(table); }
void fill_amx_super(KernelTable& table) { fill_super<simd::multiply_tiles_amx>(table); }

}  // namespace kinglet
