// safetensors: memory-mapped reader (single and sharded with its index) and writer.
// Source: the format description of huggingface/safetensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace kinglet::safetensors {

/// A tensor of the file; `data` lies in the memory map. Old files do not align their data: copy it before reading it
/// as numbers wider than a byte, or check its address.
struct Tensor {
  std::string name;
  DType dtype;  ///< F64 F32 F16 BF16 I64 I32 I16 I8 (U8 and BOOL read as i8)
  Shape shape;
  std::span<const std::byte> data;
};

inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;  ///< as in the reference implementation

/// One file, or all shards that an index names, mapped and checked whole: names are unique, extents do not overlap and
/// lie inside the file, shape times type is the extent's length.
class File {
 public:
  /// `path`: a .safetensors file, a model.safetensors.index.json, or a directory that holds either.
  /// Errors: not_found, io, corrupt, unsupported (a type that Kinglet does not read, by name).
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

/// The format's name of a type ("F32"); nothing for those it has none for (quantized ones).
std::optional<std::string_view> dtype_name(DType dtype);

/// Writes one file beside `path` and renames it when whole. Declare every tensor, then write the data in the declared
/// order. The format allows no gaps: declare wider types first and every tensor is aligned to its type.
class Writer {
 public:
  explicit Writer(std::string path);
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;
  ~Writer();  ///< without finish(): the unfinished file is removed

  void set_metadata(std::string key, std::string value);
  /// Errors: invalid_argument (a name used before), unsupported (a type that the format does not have).
  Status declare(std::string name, DType dtype, Shape shape);
  Status begin();                                         ///< writes the header
  Status write_tensor(std::span<const std::byte> bytes);  ///< the next declared tensor, whole or in consecutive pieces
  Status finish();                                        ///< checks that all was written, syncs, renames

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct OutTensor {
  std::string name;
  DType dtype;
  Shape shape;
  std::span<const std::byte> data;
};

/// Writes tensors that are in memory (wider types first, else in the given order), with the metadata.
Status write(const std::string& path, std::span<const OutTensor> tensors,
             const std::map<std::string, std::string>& metadata = {});

}  // namespace kinglet::safetensors
