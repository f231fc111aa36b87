#include "train/kernels.h"

namespace kinglet::train {

const GradientKernels& gradient_kernels(const KernelTable& row) {
#if defined(__x86_64__)
  if (row.vectors == Vectors::avx512) return avx512_gradients();
  if (row.vectors == Vectors::avx2) return avx2_gradients();
#elif defined(__aarch64__)
  if (row.vectors == Vectors::neon) return neon_gradients();
#endif
  static_cast<void>(row);
  return reference_gradients();
}

}  // namespace kinglet::train
