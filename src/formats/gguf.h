// GGUF v2 and v3: memory-mapped reader (split files too) and writer.
// Source: the GGUF specification (ggml/docs/gguf.md).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "tensor/shape.h"

namespace kinglet::gguf {

/// A metadata value. Arrays are typed; strings in arrays are views into the map.
struct Array;
using Value = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool, std::string, uint64_t,
                           int64_t, double, std::shared_ptr<const Array>>;
struct Array {
  std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
               std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>, std::vector<bool>,
               std::vector<std::string>, std::vector<uint64_t>, std::vector<int64_t>, std::vector<double>,
               std::vector<Value>>
      items;
};

struct KeyValue {
  std::string key;
  Value value;
};

/// A tensor of the file; `data` lies in the memory map and stays valid as long as the File.
struct Tensor {
  std::string name;
  DType dtype;
  Shape shape;  ///< outermost first (see tensor/shape.h)
  std::span<const std::byte> data;
};

/// A GGUF file (or all parts of a split one), mapped and fully checked: no later access can leave the map.
class File {
 public:
  static Result<File> open(const std::string& path);
  /// For tests and fuzzing: `bytes` must outlive the File.
  static Result<File> parse(std::span<const std::byte> bytes);

  File(File&&) noexcept;
  File& operator=(File&&) noexcept;
  ~File();

  uint32_t version() const;
  std::span<const KeyValue> metadata() const;  ///< in file order
  std::span<const Tensor> tensors() const;     ///< in file order, across splits
  const Value* find(std::string_view key) const;
  const Tensor* find_tensor(std::string_view name) const;
  uint64_t file_bytes() const;  ///< over all parts

  // Typed look-ups; integers of any width convert where the value fits. Nothing where absent or of another type.
  std::optional<int64_t> get_int(std::string_view key) const;
  std::optional<double> get_float(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string_view> get_string(std::string_view key) const;
  const Array* get_array(std::string_view key) const;

 private:
  struct Impl;
  explicit File(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Writes a v3 file beside `path` and renames it when whole. Add metadata and declare every tensor, then write the data
/// in the declared order.
class Writer {
 public:
  explicit Writer(std::string path);
  Writer(Writer&&) noexcept;
  ~Writer();  ///< without finish(): the unfinished file is removed

  void set(std::string key, Value value);  ///< replaces an earlier value of the key in place
  Status declare(std::string name, DType dtype, Shape shape);
  Status begin();                                         ///< writes header, metadata and tensor infos
  Status write_tensor(std::span<const std::byte> bytes);  ///< the next declared tensor, whole or in consecutive pieces
  Status finish();                                        ///< checks that all was written, syncs, renames

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kinglet::gguf
