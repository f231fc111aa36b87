// Any bytes as a GGUF file: an error, or tensors that lie inside the bytes.
#include <cstddef>
#include <cstdint>

#include "formats/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = kinglet::gguf::File::parse(std::as_bytes(std::span(data, size)));
  if (!file.ok()) return 0;
  unsigned sum = 0;
  for (const auto& tensor : file->tensors())
    for (const std::byte b : tensor.data) sum += std::to_integer<unsigned>(b);
  for (const auto& [key, value] : file->metadata()) {
    sum += static_cast<unsigned>(file->get_int(key).value_or(0) & 1);
    sum += file->get_string(key).has_value() + file->get_float(key).has_value();
  }
  volatile unsigned keep = sum;
  (void)keep;
  return 0;
}
