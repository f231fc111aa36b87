#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "base/checked.h"
#include "formats/gguf.h"
#include "formats/gguf_types.h"
#include "formats/tensor_sink.h"
#include "host/error.h"

namespace kinglet::gguf {
namespace {

/// Appends little-endian values to a string of bytes.
class Builder {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void number(T value) {
    if constexpr (std::is_same_v<T, bool>) {
      out_.push_back(value ? '\1' : '\0');
    } else {
      char bytes[sizeof(T)];
      std::memcpy(bytes, &value, sizeof(T));
      out_.append(bytes, sizeof(T));
    }
  }

  void text(std::string_view value) {
    number<uint64_t>(value.size());
    out_.append(value);
  }

  void type(Type t) { number(static_cast<uint32_t>(t)); }

  void value(const Value& value) {
    type(type_of_alternative(value.index()));
    payload(value);
  }

  const std::string& bytes() const { return out_; }

 private:
  void payload(const Value& value) {
    std::visit(
        [this](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, std::string>) {
            text(v);
          } else if constexpr (std::is_arithmetic_v<T>) {
            number(v);
          } else {
            array(*v);
          }
        },
        value);
  }

  void array(const Array& array) {
    type(type_of_alternative(array.items.index()));
    number<uint64_t>(array.size());
    std::visit(
        [this](const auto& items) {
          using T = typename std::decay_t<decltype(items)>::value_type;
          for (const auto& item : items) {
            if constexpr (std::is_same_v<T, std::string>) {
              text(item);
            } else if constexpr (std::is_same_v<T, Value>) {
              payload(item);
            } else {
              number<T>(item);
            }
          }
        },
        array.items);
  }

  std::string out_;
};

/// Whether `value` can be written: no null array, and arrays of values hold arrays only.
bool is_writable(const Value& value, int depth = 0) {
  const auto* pointer = std::get_if<std::shared_ptr<const Array>>(&value);
  if (!pointer) return true;
  if (!*pointer || depth >= kMaxArrayDepth) return false;
  const auto* nested = std::get_if<std::vector<Value>>(&(*pointer)->items);
  return !nested || std::all_of(nested->begin(), nested->end(), [depth](const Value& item) {
    return std::holds_alternative<std::shared_ptr<const Array>>(item) && is_writable(item, depth + 1);
  });
}

}  // namespace

struct Writer::Impl {
  TensorSink declared;            ///< every tensor under the whole file's path; itself never begun
  std::vector<TensorSink> files;  ///< the parts that are written, in order
  size_t current = 0;             ///< of them
  uint64_t left = 0;              ///< bytes that the current one still awaits
  std::vector<KeyValue> metadata;
  uint64_t alignment = kDefaultAlignment;
  uint64_t split_bytes = 0;

  Status read_alignment() {
    for (const KeyValue& kv : metadata) {
      if (kv.key != "general.alignment") continue;
      const auto* value = std::get_if<uint32_t>(&kv.value);
      if (!value || !std::has_single_bit(*value) || *value > kMaxAlignment) {
        return error(Code::invalid_argument, "{}: general.alignment must be a u32 and a power of two", declared.path());
      }
      alignment = *value;
    }
    return ok_status();
  }

  /// Gives each tensor to the part that it lies in: a part takes tensors until the next would make it too large.
  Status divide() {
    std::vector<std::vector<TensorSink::Declared>> parts(1);
    uint64_t bytes = 0;
    for (const TensorSink::Declared& t : declared.tensors()) {
      const auto sum = checked_add(bytes, t.bytes);
      if (split_bytes > 0 && !parts.back().empty() && (!sum || *sum > split_bytes)) {
        parts.emplace_back();
        bytes = 0;
      }
      bytes += t.bytes;
      parts.back().push_back(t);
    }
    const int64_t count = std::ssize(parts);
    if (count > kMaxSplits)
      return error(Code::invalid_argument, "{}: {} parts, at most {}", declared.path(), count, kMaxSplits);
    for (int64_t i = 0; i < count; ++i) {
      files.emplace_back(count == 1 ? declared.path() : part_path(declared.path(), i, count));
      for (TensorSink::Declared& t : parts[static_cast<size_t>(i)]) KL_TRY(files.back().declare(std::move(t)));
    }
    left = awaited();
    return ok_status();
  }

  uint64_t awaited() const {
    uint64_t bytes = 0;
    for (const TensorSink::Declared& t : files[current].tensors()) bytes += t.bytes;
    return bytes;
  }

  /// The first part says everything, the others which part they are, as llama.cpp splits files.
  std::vector<KeyValue> metadata_of(size_t part) const {
    std::vector<KeyValue> out;
    for (const KeyValue& kv : metadata)
      if (part == 0 || kv.key == "general.alignment") out.push_back(kv);
    if (files.size() == 1) return out;
    out.push_back({kSplitNo, static_cast<uint16_t>(part)});
    out.push_back({kSplitCount, static_cast<uint16_t>(files.size())});
    out.push_back({kSplitTensors, static_cast<int32_t>(declared.tensors().size())});
    return out;
  }

  Status begin(TensorSink& file, const std::vector<KeyValue>& keys) const;
};

Writer::Writer(std::string path)
    : impl_(new Impl{.declared = TensorSink(std::move(path)), .files = {}, .metadata = {}}) {}
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;
Writer::~Writer() = default;

void Writer::set(std::string key, Value value) {
  for (KeyValue& kv : impl_->metadata) {
    if (kv.key != key) continue;
    kv.value = std::move(value);
    return;
  }
  impl_->metadata.push_back({std::move(key), std::move(value)});
}

Status Writer::declare(std::string name, DType dtype, Shape shape) {
  const auto bytes = tensor_bytes(dtype, shape);
  if (!bytes || *bytes == 0) {
    return error(Code::invalid_argument, "tensor {}: rows of {} values cannot be {}", name, shape.inner(),
                 kinglet::name(dtype));
  }
  if (name.empty() || name.size() > kMaxTensorNameBytes) {
    return error(Code::invalid_argument, "a tensor's name has {} bytes", name.size());
  }
  return impl_->declared.declare({std::move(name), dtype, shape, *bytes});
}

void Writer::split_at(uint64_t bytes) { impl_->split_bytes = bytes; }

Status Writer::Impl::begin(TensorSink& file, const std::vector<KeyValue>& keys) const {
  Builder out;
  out.number(kMagic);
  out.number(kWrittenVersion);
  out.number<uint64_t>(file.tensors().size());
  out.number<uint64_t>(keys.size());
  for (const KeyValue& kv : keys) {
    if (kv.key.empty() || kv.key.size() > kMaxKeyBytes || !is_writable(kv.value)) {
      return error(Code::invalid_argument, "{}: metadata {} cannot be written", file.path(), kv.key);
    }
    out.text(kv.key);
    out.value(kv.value);
  }
  uint64_t offset = 0;
  for (const TensorSink::Declared& t : file.tensors()) {
    out.text(t.name);
    out.number(static_cast<uint32_t>(t.shape.rank));
    for (int d = t.shape.rank; d-- > 0;) out.number(static_cast<uint64_t>(t.shape[d]));  // innermost first
    out.number(info(t.dtype).gguf);
    out.number(offset);
    const auto end = checked_add(offset, t.bytes);
    const auto next = end ? checked_round_up(*end, alignment) : std::nullopt;
    if (!next) return error(Code::out_of_range, "{}: the tensors take more than 2^64 bytes", file.path());
    offset = *next;
  }
  return file.begin(std::as_bytes(std::span(out.bytes())), offset, alignment);
}

Status Writer::begin() {
  Impl& w = *impl_;
  if (!w.files.empty()) return error(Code::internal, "{}: begun twice", w.declared.path());
  KL_TRY(w.read_alignment());
  KL_TRY(w.divide());
  for (size_t i = 0; i < w.files.size(); ++i) KL_TRY(w.begin(w.files[i], w.metadata_of(i)));
  return ok_status();
}

Status Writer::write_tensor(std::span<const std::byte> bytes) {
  Impl& w = *impl_;
  if (w.files.empty()) return error(Code::internal, "{}: a tensor was written before begin()", w.declared.path());
  if (w.left == 0 && w.current + 1 < w.files.size()) {
    ++w.current;
    w.left = w.awaited();
  }
  KL_TRY(w.files[w.current].write(bytes));  // refuses more than its tensors hold
  w.left -= bytes.size();
  return ok_status();
}

Result<std::string> Writer::finish() {
  Impl& w = *impl_;
  if (w.files.empty()) return error(Code::internal, "{}: finished before begin()", w.declared.path());
  // The first part comes last: without it nothing opens the others.
  for (size_t i = w.files.size(); i-- > 0;) KL_TRY(w.files[i].finish());
  return w.files[0].path();
}

std::string part_path(const std::string& path, int64_t number, int64_t count) {
  const std::string stem = path.ends_with(".gguf") ? path.substr(0, path.size() - 5) : path;
  return fmt::format("{}-{:05}-of-{:05}.gguf", stem, number + 1, count);
}

}  // namespace kinglet::gguf
