#include "train/kernels.h"

#include <string_view>

namespace kinglet::train {

const GradientKernels& gradient_kernels(const char* name) {
  const std::string_view row = name;
#if defined(__x86_64__)
  if (row == "avx512" || row == "avx512bf16") return avx512_gradients();
  if (row == "avx2") return avx2_gradients();
#elif defined(__aarch64__)
  if (row == "neon" || row == "dotprod") return neon_gradients();
#endif
  return reference_gradients();
}

}  // namespace kinglet::train
