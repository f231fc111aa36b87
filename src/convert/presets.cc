#include "convert/presets.h"

#include "convert/builtin_presets.h"
#include "host/error.h"

namespace kinglet::convert {

Result<std::vector<Preset>> presets() {
  auto json = parse_json(kBuiltinPresets);
  if (!json.ok()) return error(Code::internal, "built-in presets: {}", json.status().text());
  std::vector<Preset> out;
  for (const Json& item : *json) {
    out.push_back({item.at("name").get<std::string>(), item.at("source").get<std::string>(), item.at("config"),
                   item.at("tokenizer")});
  }
  return out;
}

Result<Preset> find_preset(std::string_view name) {
  KL_ASSIGN(const std::vector<Preset> all, presets());
  std::string names;
  for (const Preset& preset : all) {
    if (preset.name == name) return preset;
    names += (names.empty() ? "" : ", ") + preset.name;
  }
  return error(Code::not_found, "no preset '{}'; there are {}", name, names);
}

}  // namespace kinglet::convert
