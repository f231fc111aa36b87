#include "train/decode_panels.h"

#include <string_view>

namespace kinglet::train {

DecodePanel panel_decoder(const char* name, DType type) {
#if defined(__x86_64__)
  const std::string_view row = name;
  if (row == "avx512" || row == "avx512bf16") return panel_decoder_avx512(type);
  if (row == "avx2") return panel_decoder_avx2(type);
#endif
  static_cast<void>(name);
  static_cast<void>(type);
  return nullptr;
}

}  // namespace kinglet::train
