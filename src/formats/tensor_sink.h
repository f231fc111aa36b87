// The declared tensors of a file that is being written, and their values as they come: what GGUF and safetensors writers share.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "host/file.h"
#include "tensor/shape.h"

namespace kinglet {

class TensorSink {
 public:
  struct Declared {
    std::string name;
    DType dtype;
    Shape shape;
    uint64_t bytes;
  };

  explicit TensorSink(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  const std::vector<Declared>& tensors() const { return tensors_; }

  /// Errors: invalid_argument (a name used before).
  Status declare(Declared tensor);
  /// Makes the file with its header; the data begin at the next multiple of `alignment`, and so does each tensor. `data_bytes` is what they
  /// take, for a disk that is full to say so now. Errors: io, internal (begun twice).
  Status begin(std::span<const std::byte> header, uint64_t data_bytes, uint64_t alignment);
  /// The next declared tensor, whole or in consecutive pieces. Errors: io, internal (more than was declared).
  Status write(std::span<const std::byte> bytes);
  /// Errors: io, internal (data that are missing).
  Status finish();

 private:
  Status skip_whole_tensors();

  std::string path_;
  std::vector<Declared> tensors_;
  std::unordered_set<std::string> names_;
  std::optional<AtomicFile> file_;
  uint64_t alignment_ = 1;
  size_t next_ = 0;          ///< tensor being written
  uint64_t next_bytes_ = 0;  ///< of it, so far
};

}  // namespace kinglet
