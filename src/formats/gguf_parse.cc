#include "formats/gguf_parse.h"

#include <algorithm>
#include <array>
#include <bit>

#include "formats/cursor.h"
#include "formats/extents.h"
#include "formats/gguf_types.h"
#include "host/error.h"

namespace kinglet::gguf {
namespace {

/// Names of ggml's types that Kinglet does not read, so that the error can say which it met.
std::string type_name(uint32_t number) {
  struct Entry {
    uint32_t number;
    const char* name;
  };
  static constexpr Entry kOthers[] = {{9, "Q8_1"},     {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
                                      {18, "IQ3_XXS"}, {19, "IQ1_S"}, {21, "IQ3_S"},   {22, "IQ2_S"},
                                      {29, "IQ1_M"},   {34, "TQ1_0"}, {35, "TQ2_0"},   {39, "MXFP4"}};
  for (const Entry& e : kOthers)
    if (e.number == number) return e.name;
  return fmt::format("number {}", number);
}

/// Bytes that an array item of `type` takes at least; bounds an array's claimed length by what is left of the file.
uint64_t least_bytes(Type type) {
  if (type == Type::string) return sizeof(uint64_t);
  if (type == Type::array) return sizeof(uint32_t) + sizeof(uint64_t);
  return visit_type(type, []<typename T>() -> uint64_t { return sizeof(T); });
}

class Parser {
 public:
  explicit Parser(std::span<const std::byte> bytes) : bytes_(bytes), cursor_(bytes) {}

  Result<Part> run() {
    KL_TRY(header());
    KL_TRY(metadata());
    KL_TRY(tensor_infos());
    KL_TRY(place_tensors());
    return std::move(part_);
  }

 private:
  static Status ends_inside(std::string_view what) { return error(Code::corrupt, "the file ends inside {}", what); }

  Status header() {
    uint32_t magic = 0;
    if (!cursor_.read(magic)) return ends_inside("its header");
    if (magic != kMagic) return error(Code::corrupt, "not a GGUF file (it does not start with \"GGUF\")");
    if (!cursor_.read(part_.version)) return ends_inside("its header");
    if (part_.version != 2 && part_.version != 3) {
      const uint32_t swapped = __builtin_bswap32(part_.version);
      if (swapped == 2 || swapped == 3) {
        return error(Code::unsupported, "a big-endian GGUF file; Kinglet reads little-endian ones");
      }
      return error(Code::unsupported, "GGUF version {}; Kinglet reads versions 2 and 3", part_.version);
    }
    if (!cursor_.read(tensor_count_) || !cursor_.read(key_count_)) return ends_inside("its header");
    if (tensor_count_ > kMaxTensors) return error(Code::corrupt, "claims {} tensors", tensor_count_);
    if (key_count_ > kMaxKeys) return error(Code::corrupt, "claims {} metadata keys", key_count_);
    return ok_status();
  }

  Status metadata() {
    // A key takes at least a length, a type and a byte: the claim is bounded by the file before memory is taken for it.
    part_.metadata.reserve(std::min<uint64_t>(key_count_, cursor_.remaining() / 13));
    for (uint64_t i = 0; i < key_count_; ++i) {
      std::string_view key;
      uint32_t type = 0;
      if (!cursor_.read_string(key)) return ends_inside(fmt::format("metadata key {} of {}", i + 1, key_count_));
      if (key.empty() || key.size() > kMaxKeyBytes) {
        return error(Code::corrupt, "metadata key {} has {} bytes", i + 1, key.size());
      }
      if (!cursor_.read(type)) return ends_inside(fmt::format("the value of {}", key));
      Value value;
      if (const Status s = read_value(type, value, 0); !s.ok()) return annotate(fmt::format("metadata {}", key), s);
      part_.metadata.push_back({std::string(key), std::move(value)});
    }
    return ok_status();
  }

  Status read_value(uint32_t number, Value& out, int depth) {
    if (number >= kTypeCount) return error(Code::corrupt, "its type has the unknown number {}", number);
    const Type type = static_cast<Type>(number);
    if (type == Type::array) return read_array(out, depth);
    if (type == Type::string) {
      std::string_view text;
      if (!cursor_.read_string(text)) return ends_inside("it");
      out = std::string(text);
      return ok_status();
    }
    if (type == Type::boolean) {
      uint8_t byte = 0;
      if (!cursor_.read(byte)) return ends_inside("it");
      if (byte > 1) return error(Code::corrupt, "its truth value is {}", byte);
      out = byte == 1;
      return ok_status();
    }
    const bool read = visit_type(type, [&]<typename T>() {
      if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
        T value{};
        const bool ok = cursor_.read(value);
        out = value;
        return ok;
      }
      return false;
    });
    return read ? ok_status() : ends_inside("it");
  }

  Status read_array(Value& out, int depth) {
    if (depth >= kMaxArrayDepth) return error(Code::corrupt, "arrays nested deeper than {} levels", kMaxArrayDepth);
    uint32_t number = 0;
    uint64_t count = 0;
    if (!cursor_.read(number) || !cursor_.read(count)) return ends_inside("it");
    if (number >= kTypeCount) return error(Code::corrupt, "its items' type has the unknown number {}", number);
    const Type type = static_cast<Type>(number);
    if (count > cursor_.remaining() / least_bytes(type)) {
      return error(Code::corrupt, "an array of {} items is longer than the file", count);
    }
    auto array = std::make_shared<Array>();
    if (type == Type::array) {
      KL_TRY(read_arrays(count, array->items.emplace<std::vector<Value>>(), depth));
    } else if (type == Type::string) {
      if (!read_strings(count, array->items.emplace<std::vector<std::string>>())) return ends_inside("it");
    } else if (type == Type::boolean) {
      KL_TRY(read_bools(count, array->items.emplace<std::vector<bool>>()));
    } else {
      visit_type(type, [&]<typename T>() {
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
          std::span<const std::byte> bytes;
          (void)cursor_.take(count * sizeof(T), bytes);  // bounded above
          auto& items = array->items.emplace<std::vector<T>>(static_cast<size_t>(count));
          if (count > 0) std::memcpy(items.data(), bytes.data(), bytes.size());
        }
      });
    }
    out = std::shared_ptr<const Array>(std::move(array));
    return ok_status();
  }

  Status read_arrays(uint64_t count, std::vector<Value>& items, int depth) {
    items.resize(static_cast<size_t>(count));
    for (Value& item : items) KL_TRY(read_array(item, depth + 1));
    return ok_status();
  }

  bool read_strings(uint64_t count, std::vector<std::string>& items) {
    items.reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) {
      std::string_view text;
      if (!cursor_.read_string(text)) return false;
      items.emplace_back(text);
    }
    return true;
  }

  Status read_bools(uint64_t count, std::vector<bool>& items) {
    std::span<const std::byte> bytes;
    (void)cursor_.take(count, bytes);  // bounded by the caller
    items.reserve(bytes.size());
    for (const std::byte b : bytes) {
      if (std::to_integer<int>(b) > 1) return error(Code::corrupt, "a truth value is {}", std::to_integer<int>(b));
      items.push_back(b == std::byte{1});
    }
    return ok_status();
  }

  Status tensor_infos() {
    part_.tensors.reserve(std::min<uint64_t>(tensor_count_, cursor_.remaining() / 24));
    for (uint64_t i = 0; i < tensor_count_; ++i) {
      std::string_view tensor;
      if (!cursor_.read_string(tensor)) return ends_inside(fmt::format("tensor {} of {}", i + 1, tensor_count_));
      if (tensor.empty() || tensor.size() > kMaxTensorNameBytes) {
        return error(Code::corrupt, "the name of tensor {} has {} bytes", i + 1, tensor.size());
      }
      if (const Status s = tensor_info(tensor); !s.ok()) return annotate(fmt::format("tensor {}", tensor), s);
    }
    return ok_status();
  }

  Status tensor_info(std::string_view tensor) {
    uint32_t rank = 0;
    if (!cursor_.read(rank)) return ends_inside("its description");
    if (rank > Shape::kMaxRank) return error(Code::corrupt, "{} dimensions, at most {}", rank, Shape::kMaxRank);
    Shape shape;
    shape.rank = static_cast<int>(rank);
    for (uint32_t d = 0; d < rank; ++d) {
      uint64_t size = 0;
      if (!cursor_.read(size)) return ends_inside("its description");
      const auto fits = checked_cast<int64_t>(size);
      if (!fits || *fits == 0) return error(Code::corrupt, "a dimension of {}", size);
      shape.dims[rank - 1 - d] = *fits;  // the file lists the innermost first
    }
    uint32_t number = 0;
    uint64_t offset = 0;
    if (!cursor_.read(number) || !cursor_.read(offset)) return ends_inside("its description");
    const auto dtype = dtype_from_gguf(number);
    if (!dtype) return error(Code::unsupported, "its type {} is not one that Kinglet reads", type_name(number));
    const auto size = tensor_bytes(*dtype, shape);
    if (!size) {
      return error(Code::corrupt, "its shape does not fit its type {} (rows of {} values)", name(*dtype),
                   shape.inner());
    }
    extents_.push_back({offset, *size});
    part_.tensors.push_back({std::string(tensor), *dtype, shape, {}});
    return ok_status();
  }

  Status alignment(uint64_t& out) const {
    out = kDefaultAlignment;
    for (const KeyValue& kv : part_.metadata) {
      if (kv.key != "general.alignment") continue;
      const auto* value = std::get_if<uint32_t>(&kv.value);
      if (!value) return error(Code::corrupt, "general.alignment is not a u32");
      if (!std::has_single_bit(*value) || *value > kMaxAlignment) {
        return error(Code::corrupt, "general.alignment is {}", *value);
      }
      out = *value;
    }
    return ok_status();
  }

  Status place_tensors() {
    if (part_.tensors.empty()) return ok_status();
    uint64_t unit = 0;
    KL_TRY(alignment(unit));
    const auto start = checked_round_up<uint64_t>(cursor_.position(), unit);
    if (!start || *start > bytes_.size()) return ends_inside("the padding before its tensors");
    const auto data = bytes_.subspan(static_cast<size_t>(*start));
    for (size_t i = 0; i < extents_.size(); ++i) {
      const Extent& e = extents_[i];
      Tensor& t = part_.tensors[i];
      if (e.offset % unit != 0) {
        return error(Code::corrupt, "tensor {}: its offset {} is no multiple of {}", t.name, e.offset, unit);
      }
      if (!lies_inside(e, data.size())) {
        return error(Code::corrupt, "tensor {}: {} bytes at offset {} lie outside the {} bytes of tensor data", t.name,
                     e.size, e.offset, data.size());
      }
      t.data = data.subspan(static_cast<size_t>(e.offset), static_cast<size_t>(e.size));
    }
    if (const auto pair = find_overlap(extents_)) {
      return error(Code::corrupt, "tensors {} and {} overlap", part_.tensors[pair->first].name,
                   part_.tensors[pair->second].name);
    }
    return ok_status();
  }

  std::span<const std::byte> bytes_;
  Cursor cursor_;
  Part part_;
  uint64_t tensor_count_ = 0;
  uint64_t key_count_ = 0;
  std::vector<Extent> extents_;  ///< of each tensor, from the start of the tensor data
};

}  // namespace

Result<Part> parse_part(std::span<const std::byte> bytes) { return Parser(bytes).run(); }

}  // namespace kinglet::gguf
