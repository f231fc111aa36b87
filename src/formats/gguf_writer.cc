#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <type_traits>
#include <unordered_set>

#include "formats/gguf.h"
#include "formats/gguf_types.h"
#include "host/error.h"
#include "host/file.h"

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

struct Declared {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t bytes;
};

}  // namespace

struct Writer::Impl {
  std::string path;
  std::vector<KeyValue> metadata;
  std::vector<Declared> tensors;
  std::unordered_set<std::string> names;
  std::optional<AtomicFile> file;
  uint64_t alignment = kDefaultAlignment;
  size_t next = 0;          ///< tensor being written
  uint64_t next_bytes = 0;  ///< of it, so far

  Status read_alignment() {
    for (const KeyValue& kv : metadata) {
      if (kv.key != "general.alignment") continue;
      const auto* value = std::get_if<uint32_t>(&kv.value);
      if (!value || !std::has_single_bit(*value) || *value > kMaxAlignment) {
        return error(Code::invalid_argument, "{}: general.alignment must be a u32 and a power of two", path);
      }
      alignment = *value;
    }
    return ok_status();
  }

  Status pad() {
    const uint64_t over = file->written() % alignment;
    return over == 0 ? ok_status() : file->write_zeros(alignment - over);
  }
};

Writer::Writer(std::string path) : impl_(std::make_unique<Impl>()) { impl_->path = std::move(path); }
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
  if (!impl_->names.insert(name).second) return error(Code::invalid_argument, "tensor {} is declared twice", name);
  impl_->tensors.push_back({std::move(name), dtype, shape, *bytes});
  return ok_status();
}

Status Writer::begin() {
  Impl& w = *impl_;
  if (w.file) return error(Code::internal, "{}: begun twice", w.path);
  KL_TRY(w.read_alignment());
  Builder out;
  out.number(kMagic);
  out.number(kWrittenVersion);
  out.number<uint64_t>(w.tensors.size());
  out.number<uint64_t>(w.metadata.size());
  for (const KeyValue& kv : w.metadata) {
    if (kv.key.empty() || kv.key.size() > kMaxKeyBytes || !is_writable(kv.value)) {
      return error(Code::invalid_argument, "{}: metadata {} cannot be written", w.path, kv.key);
    }
    out.text(kv.key);
    out.value(kv.value);
  }
  uint64_t offset = 0;
  for (const Declared& t : w.tensors) {
    out.text(t.name);
    out.number(static_cast<uint32_t>(t.shape.rank));
    for (int d = t.shape.rank; d-- > 0;) out.number(static_cast<uint64_t>(t.shape[d]));  // innermost first
    out.number(info(t.dtype).gguf);
    out.number(offset);
    const auto end = checked_add(offset, t.bytes);
    const auto next = end ? checked_round_up(*end, w.alignment) : std::nullopt;
    if (!next) return error(Code::out_of_range, "{}: the tensors take more than 2^64 bytes", w.path);
    offset = *next;
  }
  KL_ASSIGN(AtomicFile file, AtomicFile::create(w.path));
  KL_TRY(file.expect(checked_add<uint64_t>(offset, out.bytes().size()).value_or(offset)));
  KL_TRY(file.write(out.bytes()));
  w.file = std::move(file);
  return w.pad();
}

Status Writer::write_tensor(std::span<const std::byte> bytes) {
  Impl& w = *impl_;
  if (!w.file) return error(Code::internal, "{}: a tensor was written before begin()", w.path);
  if (w.next == w.tensors.size()) return error(Code::internal, "{}: more data than declared tensors", w.path);
  const Declared& t = w.tensors[w.next];
  if (bytes.size() > t.bytes - w.next_bytes) {
    return error(Code::internal, "{}: tensor {} has {} bytes, more were written", w.path, t.name, t.bytes);
  }
  KL_TRY(w.file->write(bytes));
  w.next_bytes += bytes.size();
  if (w.next_bytes < t.bytes) return ok_status();
  w.next_bytes = 0;
  ++w.next;
  return w.pad();
}

Status Writer::finish() {
  Impl& w = *impl_;
  if (!w.file) return error(Code::internal, "{}: finished before begin()", w.path);
  if (w.next != w.tensors.size()) {
    return error(Code::internal, "{}: the data of tensor {} is missing", w.path, w.tensors[w.next].name);
  }
  const Status status = w.file->commit();
  w.file.reset();
  return status;
}

}  // namespace kinglet::gguf
