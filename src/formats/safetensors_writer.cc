#include <algorithm>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/safetensors_types.h"
#include "formats/tensor_sink.h"
#include "host/error.h"

namespace kinglet::safetensors {
std::optional<std::string_view> dtype_name(DType dtype) {
  for (const TypeName& t : kTypeNames)
    if (t.dtype == dtype) return t.name;
  return std::nullopt;
}

struct Writer::Impl {
  TensorSink sink;
  std::map<std::string, std::string> metadata;

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
    for (const TensorSink::Declared& t : sink.tensors()) {
      const auto end = checked_add(total, t.bytes);
      if (!end) return error(Code::out_of_range, "{}: the tensors take more than 2^64 bytes", sink.path());
      Json shape = Json::array();
      for (int d = 0; d < t.shape.rank; ++d) shape.push_back(t.shape[d]);
      add(t.name, Json{{"dtype", std::string(*dtype_name(t.dtype))},
                       {"shape", std::move(shape)},
                       {"data_offsets", Json::array({total, *end})}});
      total = *end;
    }
    // Names that are no UTF-8 cannot be JSON; replace what cannot be said rather than throw.
    std::string text = to_text(json);
    text.resize(round_up<size_t>(text.size(), 8), ' ');
    return text;
  }
};

Writer::Writer(std::string path) : impl_(new Impl{.sink = TensorSink(std::move(path)), .metadata = {}}) {}
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
  return impl_->sink.declare({std::move(name), dtype, shape, *bytes});
}

Status Writer::begin() {
  uint64_t total = 0;
  KL_ASSIGN(const std::string json, impl_->header(total));
  const uint64_t length = json.size();
  std::string header(reinterpret_cast<const char*>(&length), sizeof(length));
  header += json;
  return impl_->sink.begin(std::as_bytes(std::span(header)), total, 1);
}

Status Writer::write_tensor(std::span<const std::byte> bytes) { return impl_->sink.write(bytes); }
Status Writer::finish() { return impl_->sink.finish(); }

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
