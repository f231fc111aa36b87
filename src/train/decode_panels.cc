#include "train/decode_panels.h"

namespace kinglet::train {

DecodePanel panel_decoder(const KernelTable& row, DType type) {
#if defined(__x86_64__)
  if (row.vectors == Vectors::avx512) return panel_decoder_avx512(type);
  if (row.vectors == Vectors::avx2) return panel_decoder_avx2(type);
#endif
  static_cast<void>(row);
  static_cast<void>(type);
  return nullptr;
}

}  // namespace kinglet::train
