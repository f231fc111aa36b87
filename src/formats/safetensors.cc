#include "formats/safetensors.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "formats/cursor.h"
#include "formats/extents.h"
#include "formats/json.h"
#include "formats/safetensors_types.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::safetensors {
namespace {

/// What one file holds; `tensors` point into the parsed bytes.
struct Part {
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

std::optional<uint64_t> as_size(const Json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<uint64_t>();
}

Result<Shape> read_shape(const Json& value) {
  if (!value.is_array()) return error(Code::corrupt, "its shape is not a list");
  if (value.size() > Shape::kMaxRank) {
    return error(Code::unsupported, "{} dimensions, Kinglet reads at most {}", value.size(), Shape::kMaxRank);
  }
  Shape shape;
  for (const Json& item : value) {
    const auto size = as_size(item);
    const auto fits = size ? checked_cast<int64_t>(*size) : std::nullopt;
    if (!fits) return error(Code::corrupt, "its shape holds something that is no size");
    shape.dims[static_cast<size_t>(shape.rank++)] = *fits;
  }
  return shape;
}

Result<DType> read_dtype(const Json& value) {
  if (!value.is_string()) return error(Code::corrupt, "its dtype is not a string");
  const auto& text = value.get_ref<const std::string&>();
  for (const TypeName& t : kTypeNames)
    if (t.name == text) return t.dtype;
  return error(Code::unsupported, "its dtype {} is not one that Kinglet reads", text);
}

Result<Extent> read_extent(const Json& value) {
  if (!value.is_array() || value.size() != 2) return error(Code::corrupt, "its data_offsets are not two numbers");
  const auto begin = as_size(value[0]);
  const auto end = as_size(value[1]);
  if (!begin || !end || *end < *begin) return error(Code::corrupt, "its data_offsets are not an ascending pair");
  return Extent{*begin, *end - *begin};
}

/// One entry of the header; `data` is everything after the header.
Result<Tensor> read_tensor(const std::string& name, const Json& entry, std::span<const std::byte> data,
                           Extent& extent) {
  if (!entry.is_object()) return error(Code::corrupt, "its entry is not an object");
  for (const char* field : {"dtype", "shape", "data_offsets"})
    if (!entry.contains(field)) return error(Code::corrupt, "its entry has no {}", field);
  KL_ASSIGN(const DType dtype, read_dtype(entry["dtype"]));
  KL_ASSIGN(const Shape shape, read_shape(entry["shape"]));
  KL_ASSIGN(extent, read_extent(entry["data_offsets"]));
  const auto size = tensor_bytes(dtype, shape);
  if (!size || *size != extent.size) {
    return error(Code::corrupt, "{} bytes of data do not fit its shape and dtype", extent.size);
  }
  if (!lies_inside(extent, data.size())) return error(Code::corrupt, "its data lie outside the file");
  return Tensor{name, dtype, shape, data.subspan(static_cast<size_t>(extent.offset), static_cast<size_t>(extent.size))};
}

Result<std::map<std::string, std::string>> read_metadata(const Json& value) {
  if (!value.is_object()) return error(Code::corrupt, "__metadata__ is not an object");
  std::map<std::string, std::string> out;
  for (const auto& [key, item] : value.items()) {
    if (!item.is_string()) return error(Code::corrupt, "__metadata__ holds {}, which is not a string", key);
    out.emplace(key, item.get_ref<const std::string&>());
  }
  return out;
}

Result<Part> parse_part(std::span<const std::byte> bytes) {
  Cursor cursor(bytes);
  uint64_t header_bytes = 0;
  if (!cursor.read(header_bytes))
    return error(Code::corrupt, "not a safetensors file (shorter than its header's length)");
  if (header_bytes > kMaxHeaderBytes) return error(Code::corrupt, "its header claims {} bytes", header_bytes);
  std::span<const std::byte> text;
  if (!cursor.take(header_bytes, text)) return error(Code::corrupt, "the file ends inside its header");
  auto header = parse_json({reinterpret_cast<const char*>(text.data()), text.size()}, {.max_depth = 8});
  if (!header.ok()) return annotate("header", header.status());
  if (!header->is_object()) return error(Code::corrupt, "its header is not a JSON object");

  const auto data = bytes.subspan(cursor.position());
  Part part;
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header->items()) {
    if (name == "__metadata__") {
      KL_ASSIGN(part.metadata, read_metadata(entry));
      continue;
    }
    Extent extent{};
    auto tensor = read_tensor(name, entry, data, extent);
    if (!tensor.ok()) return annotate("tensor " + name, tensor.status());
    part.tensors.push_back(std::move(tensor).value());
    extents.push_back(extent);
  }
  if (const auto pair = find_overlap(extents)) {
    return error(Code::corrupt, "tensors {} and {} overlap", part.tensors[pair->first].name,
                 part.tensors[pair->second].name);
  }
  return part;
}

/// Shards lie beside their index: a name that leads elsewhere is refused.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.find_first_of("/\\:") == std::string_view::npos && name != "." && name != "..";
}

}  // namespace

struct File::Impl {
  std::vector<MappedFile> maps;
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::unordered_map<std::string_view, size_t> names;  ///< views into `tensors`
  uint64_t file_bytes = 0;

  void add(Part part) {
    for (Tensor& t : part.tensors) tensors.push_back(std::move(t));
    metadata.merge(part.metadata);
  }

  Status add_file(const std::string& path) {
    KL_ASSIGN(MappedFile map, MappedFile::open(path));
    auto part = parse_part(map.bytes());
    if (!part.ok()) return annotate(path, part.status());
    file_bytes += map.bytes().size();
    maps.push_back(std::move(map));
    add(std::move(part).value());
    return ok_status();
  }

  Status index() {
    names.reserve(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!names.emplace(tensors[i].name, i).second) {
        return error(Code::corrupt, "tensor {} lies in two files", tensors[i].name);
      }
    }
    return ok_status();
  }

  Status add_shards(const std::string& index_path) {
    KL_ASSIGN(const Json json, read_json(index_path));
    if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
      return error(Code::corrupt, "{}: no weight_map", index_path);
    }
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : json["weight_map"].items()) {
      if (!shard.is_string() || !is_plain_name(shard.get_ref<const std::string&>())) {
        return error(Code::corrupt, "{}: the file of {} is not the name of a file beside it", index_path, tensor);
      }
      shards.insert(shard.get_ref<const std::string&>());
    }
    const size_t slash = index_path.find_last_of("/\\");
    const std::string folder = slash == std::string::npos ? "" : index_path.substr(0, slash + 1);
    for (const std::string& shard : shards) KL_TRY(add_file(folder + shard));
    KL_TRY(index());
    for (const auto& [tensor, shard] : json["weight_map"].items()) {
      if (!names.contains(tensor)) {
        return error(Code::corrupt, "{}: tensor {} is not in {}", index_path, tensor,
                     shard.get_ref<const std::string&>());
      }
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
  if (is_directory(path)) {
    const std::string single = join_path(path, "model.safetensors");
    const std::string index = join_path(path, "model.safetensors.index.json");
    if (is_file(single)) return open(single);
    if (is_file(index)) return open(index);
    return error(Code::not_found, "{}: holds neither model.safetensors nor model.safetensors.index.json", path);
  }
  if (path.ends_with(".json")) {
    KL_TRY(impl->add_shards(path));
  } else {
    KL_TRY(impl->add_file(path));
    if (const Status s = impl->index(); !s.ok()) return annotate(path, s);
  }
  return File(std::move(impl));
}

Result<File> File::parse(std::span<const std::byte> bytes) {
  KL_ASSIGN(Part part, parse_part(bytes));
  auto impl = std::make_unique<Impl>();
  impl->file_bytes = bytes.size();
  impl->add(std::move(part));
  KL_TRY(impl->index());
  return File(std::move(impl));
}

std::span<const Tensor> File::tensors() const { return impl_->tensors; }
const std::map<std::string, std::string>& File::metadata() const { return impl_->metadata; }
uint64_t File::file_bytes() const { return impl_->file_bytes; }

const Tensor* File::find(std::string_view name) const {
  const auto it = impl_->names.find(name);
  return it == impl_->names.end() ? nullptr : &impl_->tensors[it->second];
}

}  // namespace kinglet::safetensors
