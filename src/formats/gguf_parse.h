// Reads the bytes of one GGUF file. Internal to formats/.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/status.h"
#include "formats/gguf.h"

namespace kinglet::gguf {

/// What one file (or one part of a split one) holds; `tensors` point into the parsed bytes.
struct Part {
  uint32_t version = 0;
  std::vector<KeyValue> metadata;
  std::vector<Tensor> tensors;
};

/// Checks and reads a whole file. Errors as File::open, without the path.
Result<Part> parse_part(std::span<const std::byte> bytes);

}  // namespace kinglet::gguf
