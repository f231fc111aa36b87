#include "formats/describe.h"

#include <charconv>
#include <cmath>

#include "formats/hf_directory.h"
#include "formats/json.h"
#include "host/error.h"

namespace kinglet {
namespace {

struct Described {
  std::string type;
  Json value;
};

// One overload for each alternative of gguf::Value.
template <typename T>
constexpr std::string_view kTypeName = "";
template <>
constexpr std::string_view kTypeName<uint8_t> = "u8";
template <>
constexpr std::string_view kTypeName<int8_t> = "i8";
template <>
constexpr std::string_view kTypeName<uint16_t> = "u16";
template <>
constexpr std::string_view kTypeName<int16_t> = "i16";
template <>
constexpr std::string_view kTypeName<uint32_t> = "u32";
template <>
constexpr std::string_view kTypeName<int32_t> = "i32";
template <>
constexpr std::string_view kTypeName<uint64_t> = "u64";
template <>
constexpr std::string_view kTypeName<int64_t> = "i64";
template <>
constexpr std::string_view kTypeName<float> = "f32";
template <>
constexpr std::string_view kTypeName<double> = "f64";
template <>
constexpr std::string_view kTypeName<bool> = "bool";
template <>
constexpr std::string_view kTypeName<std::string> = "string";
template <>
constexpr std::string_view kTypeName<gguf::Value> = "array";

// Floats in their shortest form; what JSON has no number for becomes text.
Json number_json(double value, std::string text) {
  if (!std::isfinite(value)) return text;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}
template <typename T>
Json item_json(const T& item) {
  if constexpr (std::is_floating_point_v<T>) return number_json(static_cast<double>(item), fmt::format("{}", item));
  else return item;
}

size_t shown(size_t items) { return items <= kWholeArray ? items : kArrayHead; }

Json value_json(const gguf::Value& value);

Described describe(const gguf::Array& array) {
  return std::visit(
      [](const auto& items) {
        using Item = typename std::decay_t<decltype(items)>::value_type;
        Described out{fmt::format("{}[{}]", kTypeName<Item>, items.size()), Json::array()};
        for (size_t i = 0; i < shown(items.size()); ++i) {
          if constexpr (std::is_same_v<Item, gguf::Value>) out.value.push_back(value_json(items[i]));
          else out.value.push_back(item_json(static_cast<Item>(items[i])));
        }
        return out;
      },
      array.items);
}

Described describe(const gguf::Value& value) {
  return std::visit(
      [](const auto& v) -> Described {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<V, std::shared_ptr<const gguf::Array>>) return describe(*v);
        else return {std::string(kTypeName<V>), item_json(v)};
      },
      value);
}

Json value_json(const gguf::Value& value) { return describe(value).value; }

std::string json_type(const Json& value) {
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "bool";
  if (value.is_number_float()) return "number";
  if (value.is_number()) return "integer";
  if (value.is_array()) return fmt::format("array[{}]", value.size());
  return value.is_null() ? "null" : "object";
}

// The parser has bounded the depth.
void add_leaves(const std::string& key, const Json& value, std::vector<MetadataEntry>& out) {
  if (value.is_object()) {
    for (const auto& [name, item] : value.items()) add_leaves(key.empty() ? name : key + "." + name, item, out);
    return;
  }
  MetadataEntry entry{key, json_type(value), value};
  if (value.is_array() && value.size() > kWholeArray) {
    entry.value = Json::array();
    for (size_t i = 0; i < kArrayHead; ++i) entry.value.push_back(value[i]);
  }
  out.push_back(std::move(entry));
}

// Whole characters only.
std::string shorten(std::string text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

}  // namespace

std::vector<MetadataEntry> describe_metadata(const Checkpoint& checkpoint) {
  std::vector<MetadataEntry> out;
  if (const gguf::File* file = checkpoint.gguf()) {
    for (const gguf::KeyValue& kv : file->metadata()) {
      Described d = describe(kv.value);
      out.push_back({kv.key, std::move(d.type), std::move(d.value)});
    }
    return out;
  }
  add_leaves("", checkpoint.hf()->config, out);
  add_leaves("generation_config", checkpoint.hf()->generation_config, out);
  std::erase_if(out, [](const MetadataEntry& e) { return e.value.is_null(); });
  return out;
}

std::string metadata_text(const MetadataEntry& entry, size_t most) {
  std::string text = to_text(entry.value);
  const bool goes_on = entry.value.is_array() && entry.value.size() == kArrayHead &&
                       !entry.type.ends_with(fmt::format("[{}]", kArrayHead));
  if (goes_on) text.replace(text.size() - 1, 1, ",...]");
  return shorten(std::move(text), most);
}

std::vector<NamedTensor> all_tensors(const Checkpoint& checkpoint) {
  std::vector<NamedTensor> out;
  const auto add = [&out](const auto& tensors) {
    for (const auto& t : tensors) out.push_back({t.name, {t.dtype, t.shape, t.data}});
  };
  if (checkpoint.gguf() != nullptr) add(checkpoint.gguf()->tensors());
  else if (checkpoint.hf()->weights) add(checkpoint.hf()->weights->tensors());
  return out;
}

}  // namespace kinglet
