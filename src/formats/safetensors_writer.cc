#include <algorithm>
#include <unordered_set>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/safetensors_types.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::safetensors {
namespace {

struct Declared {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t bytes;
};

}  // namespace

std::optional<std::string_view> dtype_name(DType dtype) {
  for (const TypeName& t : kTypeNames)
    if (t.dtype == dtype) return t.name;
  return std::nullopt;
}

struct Writer::Impl {
  std::string path;
  std::map<std::string, std::string> metadata;
  std::vector<Declared> tensors;
  std::unordered_set<std::string> names;
  std::optional<AtomicFile> file;
  size_t next = 0;          ///< tensor being written
  uint64_t next_bytes = 0;  ///< of it, so far

  /// The header's JSON and, in `total`, the bytes of all tensors.
  Result<std::string> header(uint64_t& total) const {
    Json json = Json::object();
    auto& members = json.get_ref<Json::object_t&>();
    // The vector's own emplace_back: the names are known to be different, and the map's looks through them all.
    const auto add = [&members](const std::string& name, Json value) {
      static_cast<Json::object_t::Container&>(members).emplace_back(name, std::move(value));
    };
    if (!metadata.empty()) add("__metadata__", Json(metadata));
    total = 0;
    for (const Declared& t : tensors) {
      const auto end = checked_add(total, t.bytes);
      if (!end) return error(Code::out_of_range, "{}: the tensors take more than 2^64 bytes", path);
      Json shape = Json::array();
      for (int d = 0; d < t.shape.rank; ++d) shape.push_back(t.shape[d]);
      add(t.name, Json{{"dtype", std::string(*dtype_name(t.dtype))},
                       {"shape", std::move(shape)},
                       {"data_offsets", Json::array({total, *end})}});
      total = *end;
    }
    // Names that are no UTF-8 cannot be JSON; replace what cannot be said rather than throw.
    std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    text.resize(round_up<size_t>(text.size(), 8), ' ');
    return text;
  }

  /// Moves on from tensors that are whole; those without values are so from the start.
  void skip_whole_tensors() {
    while (next < tensors.size() && next_bytes == tensors[next].bytes) {
      next_bytes = 0;
      ++next;
    }
  }
};

Writer::Writer(std::string path) : impl_(std::make_unique<Impl>()) { impl_->path = std::move(path); }
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;
Writer::~Writer() = default;

void Writer::set_metadata(std::string key, std::string value) {
  impl_->metadata.insert_or_assign(std::move(key), std::move(value));
}

Status Writer::declare(std::string name, DType dtype, Shape shape) {
  if (!dtype_name(dtype)) {
    return error(Code::unsupported, "tensor {}: safetensors has no type {}", name, kinglet::name(dtype));
  }
  const auto bytes = tensor_bytes(dtype, shape);
  if (!bytes) return error(Code::invalid_argument, "tensor {}: its shape has no size", name);
  if (name.empty() || name == "__metadata__") return error(Code::invalid_argument, "no tensor can be named '{}'", name);
  if (!impl_->names.insert(name).second) return error(Code::invalid_argument, "tensor {} is declared twice", name);
  impl_->tensors.push_back({std::move(name), dtype, shape, *bytes});
  return ok_status();
}

Status Writer::begin() {
  Impl& w = *impl_;
  if (w.file) return error(Code::internal, "{}: begun twice", w.path);
  uint64_t total = 0;
  KL_ASSIGN(const std::string header, w.header(total));
  KL_ASSIGN(AtomicFile file, AtomicFile::create(w.path));
  KL_TRY(file.expect(checked_add<uint64_t>(total, header.size() + 8).value_or(total)));
  const uint64_t length = header.size();
  KL_TRY(file.write(std::as_bytes(std::span(&length, 1))));
  KL_TRY(file.write(header));
  w.file = std::move(file);
  w.skip_whole_tensors();
  return ok_status();
}

Status Writer::write_tensor(std::span<const std::byte> bytes) {
  Impl& w = *impl_;
  if (bytes.empty()) return ok_status();
  if (!w.file) return error(Code::internal, "{}: a tensor was written before begin()", w.path);
  if (w.next == w.tensors.size()) return error(Code::internal, "{}: more data than declared tensors", w.path);
  const Declared& t = w.tensors[w.next];
  if (bytes.size() > t.bytes - w.next_bytes) {
    return error(Code::internal, "{}: tensor {} has {} bytes, more were written", w.path, t.name, t.bytes);
  }
  KL_TRY(w.file->write(bytes));
  w.next_bytes += bytes.size();
  w.skip_whole_tensors();
  return ok_status();
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

Status write(const std::string& path, std::span<const OutTensor> tensors,
             const std::map<std::string, std::string>& metadata) {
  std::vector<const OutTensor*> order;
  for (const OutTensor& t : tensors) order.push_back(&t);
  std::stable_sort(order.begin(), order.end(), [](const OutTensor* a, const OutTensor* b) {
    return info(a->dtype).block_bytes > info(b->dtype).block_bytes;
  });
  Writer writer(path);
  for (const auto& [key, value] : metadata) writer.set_metadata(key, value);
  for (const OutTensor* t : order) {
    if (tensor_bytes(t->dtype, t->shape) != t->data.size()) {
      return error(Code::invalid_argument, "tensor {}: its data do not fit its shape and type", t->name);
    }
    KL_TRY(writer.declare(t->name, t->dtype, t->shape));
  }
  KL_TRY(writer.begin());
  for (const OutTensor* t : order) KL_TRY(writer.write_tensor(t->data));
  return writer.finish();
}

}  // namespace kinglet::safetensors
