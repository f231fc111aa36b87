#include "train/bf16_products.h"

namespace kinglet::train {

const Bf16Kernels* bf16_kernels(const KernelTable& row) {
#if defined(__x86_64__)
  if (row.round_rows != nullptr) return &avx512_bf16_kernels();
#endif
  static_cast<void>(row);
  return nullptr;
}

}  // namespace kinglet::train
