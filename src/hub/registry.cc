#include "hub/registry.h"

#include <algorithm>

#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "hub/builtin_registry.h"
#include "hub/home.h"

namespace kinglet::hub {
namespace {

constexpr uint64_t kMaxRegistryBytes = uint64_t{16} << 20;

/// A name that becomes a path component: no separators, no leading dot, printable ASCII.
bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.' || c == '+';
  });
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// The string at `key`, empty where absent; an error where it is something else.
Result<std::string> text_at(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return std::string();
  if (!it->is_string()) return error(Code::corrupt, "\"{}\" is not a string", key);
  return it->get<std::string>();
}

Result<Source> parse_source(const Json& json) {
  if (!json.is_object()) return Status(Code::corrupt, "a source is not an object");
  Source source;
  KL_ASSIGN(source.repo, text_at(json, "hub"));
  KL_ASSIGN(source.file, text_at(json, "file"));
  KL_ASSIGN(source.parts, text_at(json, "parts"));
  if (const auto pip = json.find("pip"); pip != json.end()) {
    if (!pip->is_array() || pip->empty()) return Status(Code::corrupt, "\"pip\" is not a list of packages");
    for (const Json& package : *pip) {
      if (!package.is_string() || !is_plain_name(package.get_ref<const std::string&>()) ||
          package.get_ref<const std::string&>().front() == '-') {
        return Status(Code::corrupt, "\"pip\" holds something that is no package name");
      }
      source.packages.push_back(package.get<std::string>());
    }
    if (source.parts.empty()) return Status(Code::corrupt, "a source with \"pip\" needs \"parts\"");
  }
  KL_ASSIGN(source.embedded, text_at(json, "embedded"));
  if (int{source.is_hub()} + int{!source.packages.empty()} + int{source.is_embedded()} != 1)
    return Status(Code::corrupt, "a source has one of \"hub\", \"pip\" and \"embedded\"");
  if (source.is_hub() && source.file.empty()) return Status(Code::corrupt, "a source with \"hub\" needs \"file\"");
  return source;
}

Result<Model> parse_model(const Json& json) {
  if (!json.is_object()) return Status(Code::corrupt, "a model is not an object");
  Model model;
  KL_ASSIGN(model.name, text_at(json, "name"));
  if (!is_plain_name(model.name)) return Status(Code::corrupt, "a model has no usable \"name\"");
  KL_ASSIGN(model.title, text_at(json, "title"));
  KL_ASSIGN(model.licence, text_at(json, "licence"));
  KL_ASSIGN(model.file, text_at(json, "file"));
  KL_ASSIGN(model.sha256, text_at(json, "sha256"));
  if (!is_plain_name(model.file)) return error(Code::corrupt, "{}: no usable \"file\"", model.name);
  if (!model.sha256.empty() && !is_sha256(model.sha256)) return error(Code::corrupt, "{}: bad \"sha256\"", model.name);
  if (const auto size = json.find("size"); size != json.end()) {
    if (!size->is_number_unsigned()) return error(Code::corrupt, "{}: \"size\" is not a count of bytes", model.name);
    model.size = size->get<uint64_t>();
  }
  const auto sources = json.find("sources");
  if (sources == json.end() || !sources->is_array()) return error(Code::corrupt, "{}: no \"sources\"", model.name);
  for (const Json& item : *sources) {
    auto source = parse_source(item);
    if (!source.ok()) return annotate(model.name, source.status());
    model.sources.push_back(*std::move(source));
  }
  return model;
}

}  // namespace

Result<Registry> Registry::parse(std::string_view text) {
  KL_ASSIGN(const Json json, parse_json(text));
  if (!json.is_object()) return Status(Code::corrupt, "a registry is not an object");
  Registry registry;
  KL_ASSIGN(registry.default_, text_at(json, "default"));
  const auto models = json.find("models");
  if (models == json.end() || !models->is_array()) return Status(Code::corrupt, "a registry has no \"models\"");
  for (const Json& item : *models) {
    KL_ASSIGN(Model model, parse_model(item));
    if (registry.find(model.name)) return error(Code::corrupt, "{}: named twice", model.name);
    registry.models_.push_back(std::move(model));
  }
  return registry;
}

Result<Registry> Registry::load() {
  KL_ASSIGN(Registry registry, parse(kBuiltinRegistry));
  const auto home = home_directory();
  if (!home.ok()) return registry;
  const std::string path = (*home / "registry.json").string();
  if (!is_file(path)) return registry;
  KL_ASSIGN(const std::string text, read_file(path, kMaxRegistryBytes));
  auto own = parse(text);
  if (!own.ok()) return annotate(path, own.status());
  registry.merge(*std::move(own));
  return registry;
}

void Registry::merge(Registry other) {
  if (!other.default_.empty()) default_ = std::move(other.default_);
  for (Model& model : other.models_) {
    const auto it = std::find_if(models_.begin(), models_.end(), [&](const Model& m) { return m.name == model.name; });
    if (it == models_.end()) models_.push_back(std::move(model));
    else *it = std::move(model);
  }
}

const Model* Registry::find(std::string_view name) const {
  const auto it = std::find_if(models_.begin(), models_.end(), [&](const Model& m) { return m.name == name; });
  return it == models_.end() ? nullptr : &*it;
}

}  // namespace kinglet::hub
