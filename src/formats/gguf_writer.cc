#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

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
  TensorSink sink;
  std::vector<KeyValue> metadata;
  uint64_t alignment = kDefaultAlignment;

  Status read_alignment() {
    for (const KeyValue& kv : metadata) {
      if (kv.key != "general.alignment") continue;
      const auto* value = std::get_if<uint32_t>(&kv.value);
      if (!value || !std::has_single_bit(*value) || *value > kMaxAlignment) {
        return error(Code::invalid_argument, "{}: general.alignment must be a u32 and a power of two", sink.path());
      }
      alignment = *value;
    }
    return ok_status();
  }
};

Writer::Writer(std::string path) : impl_(new Impl{.sink = TensorSink(std::move(path)), .metadata = {}}) {}
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
  return impl_->sink.declare({std::move(name), dtype, shape, *bytes});
}

Status Writer::begin() {
  Impl& w = *impl_;
  KL_TRY(w.read_alignment());
  Builder out;
  out.number(kMagic);
  out.number(kWrittenVersion);
  out.number<uint64_t>(w.sink.tensors().size());
  out.number<uint64_t>(w.metadata.size());
  for (const KeyValue& kv : w.metadata) {
    if (kv.key.empty() || kv.key.size() > kMaxKeyBytes || !is_writable(kv.value)) {
      return error(Code::invalid_argument, "{}: metadata {} cannot be written", w.sink.path(), kv.key);
    }
    out.text(kv.key);
    out.value(kv.value);
  }
  uint64_t offset = 0;
  for (const TensorSink::Declared& t : w.sink.tensors()) {
    out.text(t.name);
    out.number(static_cast<uint32_t>(t.shape.rank));
    for (int d = t.shape.rank; d-- > 0;) out.number(static_cast<uint64_t>(t.shape[d]));  // innermost first
    out.number(info(t.dtype).gguf);
    out.number(offset);
    const auto end = checked_add(offset, t.bytes);
    const auto next = end ? checked_round_up(*end, w.alignment) : std::nullopt;
    if (!next) return error(Code::out_of_range, "{}: the tensors take more than 2^64 bytes", w.sink.path());
    offset = *next;
  }
  return w.sink.begin(std::as_bytes(std::span(out.bytes())), offset, w.alignment);
}

Status Writer::write_tensor(std::span<const std::byte> bytes) { return impl_->sink.write(bytes); }
Status Writer::finish() { return impl_->sink.finish(); }

}  // namespace kinglet::gguf
