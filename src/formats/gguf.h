// GGUF v2 and v3: memory-mapped reader (split files too) and writer.
// Source: the GGUF specification (ggml/docs/gguf.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace kinglet::gguf {

/// A metadata value. Arrays are typed, and own their items.
struct Array;
using Value = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool, std::string, uint64_t,
                           int64_t, double, std::shared_ptr<const Array>>;
struct Array {
  std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
               std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>, std::vector<bool>,
               std::vector<std::string>, std::vector<uint64_t>, std::vector<int64_t>, std::vector<double>,
               std::vector<Value>>
      items;  ///< a vector<Value> holds arrays
  size_t size() const {
    return std::visit([](const auto& v) { return v.size(); }, items);
  }
};

/// An array as a metadata value: make_array(std::vector<std::string>{...}).
template <typename T>
Value make_array(std::vector<T> items) {
  return std::make_shared<const Array>(Array{std::move(items)});
}

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

inline constexpr uint64_t kDefaultAlignment = 32;
inline constexpr uint64_t kMaxKeyBytes = 65535;
inline constexpr uint64_t kMaxTensorNameBytes = 1024;
inline constexpr uint64_t kMaxTensors = uint64_t{1} << 20;
inline constexpr uint64_t kMaxKeys = uint64_t{1} << 20;
inline constexpr uint64_t kMaxAlignment = uint64_t{1} << 20;
inline constexpr int kMaxArrayDepth = 4;
inline constexpr int64_t kMaxSplits = 10'000;

/// A GGUF file (or all parts of a split one), mapped and fully checked: no later access can leave the map.
class File {
 public:
  /// `path`: a file, or the first part (NAME-00001-of-0000N.gguf) of a split one, whose other parts lie beside it.
  /// Errors: not_found, io; corrupt (truncated, lengths and offsets outside the file, overlapping tensors, repeated keys
  /// or names); unsupported (another version, big-endian, a tensor type that Kinglet does not read, by name).
  static Result<File> open(const std::string& path);
  /// For tests and fuzzing: one unsplit file; `bytes` must outlive the File.
  static Result<File> parse(std::span<const std::byte> bytes);

  File(File&&) noexcept;
  File& operator=(File&&) noexcept;
  ~File();

  uint32_t version() const;
  std::span<const KeyValue> metadata() const;  ///< in file order (of the first part)
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
  /// The items of an array of exactly this type: get_items<std::string>("tokenizer.ggml.tokens").
  template <typename T>
  const std::vector<T>* get_items(std::string_view key) const {
    const Array* array = get_array(key);
    return array ? std::get_if<std::vector<T>>(&array->items) : nullptr;
  }

 private:
  struct Impl;
  explicit File(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// NAME-00001-of-00003.gguf for NAME.gguf and part 0 of 3, as llama.cpp names them.
std::string part_path(const std::string& path, int64_t number, int64_t count);

/// Writes a v3 file beside `path` and renames it when whole. Add metadata and declare every tensor, then write the data
/// in the declared order.
class Writer {
 public:
  explicit Writer(std::string path);
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;
  ~Writer();  ///< without finish(): the unfinished file is removed

  void set(std::string key, Value value);  ///< replaces an earlier value of the key in place
  /// Before begin(): several files where the tensors take more, named as part_path() says (0: always one).
  void split_at(uint64_t bytes);
  /// Errors (invalid_argument): a name used before, a shape whose rows are no whole number of blocks.
  Status declare(std::string name, DType dtype, Shape shape);
  Status begin();                                         ///< writes header, metadata and tensor infos
  Status write_tensor(std::span<const std::byte> bytes);  ///< the next declared tensor, whole or in consecutive pieces
  /// Checks that all was written, syncs, renames. The path to open: the file's, or its first part's.
  Result<std::string> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kinglet::gguf
