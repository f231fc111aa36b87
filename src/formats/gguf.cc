// Looking things up in an opened GGUF file, and opening the parts of a split one.
#include "formats/gguf.h"

#include <algorithm>
#include <type_traits>
#include <unordered_map>

#include "formats/gguf_parse.h"
#include "formats/gguf_types.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::gguf {
namespace {

/// An integer of any width as int64.
std::optional<int64_t> as_int(const Value& value) {
  return std::visit(
      [](const auto& v) -> std::optional<int64_t> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) return checked_cast<int64_t>(v);
        return std::nullopt;
      },
      value);
}

std::optional<int64_t> int_of(const Part& part, std::string_view key) {
  for (const KeyValue& kv : part.metadata)
    if (kv.key == key) return as_int(kv.value);
  return std::nullopt;
}

/// NAME.gguf for NAME-00001-of-0000N.gguf, the first of `count` parts; nothing where `path` is not named so.
std::optional<std::string> whole_path(const std::string& path, int64_t count) {
  const std::string ending = fmt::format("-{:05}-of-{:05}.gguf", 1, count);
  if (!path.ends_with(ending)) return std::nullopt;
  return path.substr(0, path.size() - ending.size()) + ".gguf";
}

}  // namespace

struct File::Impl {
  std::vector<MappedFile> maps;
  uint32_t version = 0;
  uint64_t file_bytes = 0;
  std::vector<KeyValue> metadata;
  std::vector<Tensor> tensors;
  std::unordered_map<std::string_view, size_t> keys;   ///< views into `metadata`
  std::unordered_map<std::string_view, size_t> names;  ///< views into `tensors`

  Status index() {
    keys.reserve(metadata.size());
    for (size_t i = 0; i < metadata.size(); ++i) {
      if (!keys.emplace(metadata[i].key, i).second)
        return error(Code::corrupt, "key {} appears twice", metadata[i].key);
    }
    names.reserve(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!names.emplace(tensors[i].name, i).second) {
        return error(Code::corrupt, "tensor {} appears twice", tensors[i].name);
      }
    }
    return ok_status();
  }

  /// Maps and reads one part and appends its tensors.
  Result<Part> add_part(const std::string& path) {
    KL_ASSIGN(MappedFile map, MappedFile::open(path));
    auto part = parse_part(map.bytes());
    if (!part.ok()) return annotate(path, part.status());
    file_bytes += map.bytes().size();
    maps.push_back(std::move(map));
    for (Tensor& t : part->tensors) tensors.push_back(std::move(t));
    return part;
  }

  Status add_other_parts(const std::string& path, const Part& first, int64_t count) {
    if (count > kMaxSplits) return error(Code::corrupt, "{}: split into {} parts, at most {}", path, count, kMaxSplits);
    const int64_t number = int_of(first, kSplitNo).value_or(0);
    if (number != 0) {
      return error(Code::invalid_argument, "{}: this is part {} of {}; open the first part", path, number + 1, count);
    }
    const auto whole = whole_path(path, count);
    if (!whole) {
      return error(Code::invalid_argument, "{}: the first of {} parts must be named NAME-00001-of-{:05}.gguf", path,
                   count, count);
    }
    for (int64_t i = 1; i < count; ++i) {
      const std::string next = part_path(*whole, i, count);
      KL_ASSIGN(const Part part, add_part(next));
      if (int_of(part, kSplitNo) != i || int_of(part, kSplitCount) != count) {
        return error(Code::corrupt, "{}: does not say that it is part {} of {}", next, i + 1, count);
      }
    }
    const auto total = int_of(first, kSplitTensors);
    if (total && *total != static_cast<int64_t>(tensors.size())) {
      return error(Code::corrupt, "{}: its parts hold {} tensors, it promises {}", path, tensors.size(), *total);
    }
    return ok_status();
  }
};

File::File(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
File::File(File&&) noexcept = default;
File& File::operator=(File&&) noexcept = default;
File::~File() = default;

Result<File> File::open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  KL_ASSIGN(Part first, impl->add_part(path));
  if (const auto count = int_of(first, kSplitCount); count && *count > 1) {
    KL_TRY(impl->add_other_parts(path, first, *count));
  }
  impl->version = first.version;
  impl->metadata = std::move(first.metadata);
  if (const Status s = impl->index(); !s.ok()) return annotate(path, s);
  return File(std::move(impl));
}

Result<File> File::parse(std::span<const std::byte> bytes) {
  KL_ASSIGN(Part part, parse_part(bytes));
  if (int_of(part, kSplitCount).value_or(1) > 1) {
    return error(Code::invalid_argument, "a part of a split file is opened by its path");
  }
  auto impl = std::make_unique<Impl>();
  impl->version = part.version;
  impl->file_bytes = bytes.size();
  impl->metadata = std::move(part.metadata);
  impl->tensors = std::move(part.tensors);
  KL_TRY(impl->index());
  return File(std::move(impl));
}

uint32_t File::version() const { return impl_->version; }
std::span<const KeyValue> File::metadata() const { return impl_->metadata; }
std::span<const Tensor> File::tensors() const { return impl_->tensors; }
uint64_t File::file_bytes() const { return impl_->file_bytes; }

const Value* File::find(std::string_view key) const {
  const auto it = impl_->keys.find(key);
  return it == impl_->keys.end() ? nullptr : &impl_->metadata[it->second].value;
}

const Tensor* File::find_tensor(std::string_view name) const {
  const auto it = impl_->names.find(name);
  return it == impl_->names.end() ? nullptr : &impl_->tensors[it->second];
}

std::optional<int64_t> File::get_int(std::string_view key) const {
  const Value* value = find(key);
  return value ? as_int(*value) : std::nullopt;
}

std::optional<double> File::get_float(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  if (const auto* f = std::get_if<float>(value)) return *f;
  if (const auto* d = std::get_if<double>(value)) return *d;
  return std::nullopt;
}

std::optional<bool> File::get_bool(std::string_view key) const {
  const Value* value = find(key);
  const auto* b = value ? std::get_if<bool>(value) : nullptr;
  return b ? std::optional(*b) : std::nullopt;
}

std::optional<std::string_view> File::get_string(std::string_view key) const {
  const Value* value = find(key);
  const auto* s = value ? std::get_if<std::string>(value) : nullptr;
  return s ? std::optional<std::string_view>(*s) : std::nullopt;
}

const Array* File::get_array(std::string_view key) const {
  const Value* value = find(key);
  const auto* a = value ? std::get_if<std::shared_ptr<const Array>>(value) : nullptr;
  return a ? a->get() : nullptr;
}

}  // namespace kinglet::gguf
