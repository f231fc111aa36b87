// safetensors: memory-mapped reader (single and sharded with its index) and writer.
// Source: the format description of huggingface/safetensors.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/shape.h"

namespace kinglet::safetensors {

struct Tensor {
  std::string name;
  DType dtype;  ///< F64 F32 F16 BF16 I64 I32 I16 I8 (U8 and BOOL read as i8)
  Shape shape;
  std::span<const std::byte> data;
};

/// One file, or all shards that an index names, mapped and checked whole: names are unique, extents do not overlap and
/// lie inside the file, shape times type is the extent's length.
class File {
 public:
  /// `path`: a .safetensors file, a model.safetensors.index.json, or a directory that holds either.
  static Result<File> open(const std::string& path);
  static Result<File> parse(std::span<const std::byte> bytes);  ///< one file in memory; `bytes` must outlive the File
  File(File&&) noexcept;
  File& operator=(File&&) noexcept;
  ~File();

  std::span<const Tensor> tensors() const;
  const Tensor* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const;
  uint64_t file_bytes() const;

 private:
  struct Impl;
  explicit File(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct OutTensor {
  std::string name;
  DType dtype;
  Shape shape;
  std::span<const std::byte> data;
};

/// Writes one file (tensors 8-byte aligned, in the given order) beside `path` and renames it when whole.
Status write(const std::string& path, std::span<const OutTensor> tensors,
             const std::map<std::string, std::string>& metadata = {});

}  // namespace kinglet::safetensors
