// Any bytes as a safetensors file: an error, or tensors that lie inside the bytes.
#include <cstddef>
#include <cstdint>

#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = kinglet::safetensors::File::parse(std::as_bytes(std::span(data, size)));
  if (!file.ok()) return 0;
  unsigned sum = 0;
  for (const auto& tensor : file->tensors())
    for (const std::byte b : tensor.data) sum += std::to_integer<unsigned>(b);
  volatile unsigned keep = sum;
  (void)keep;
  return 0;
}
