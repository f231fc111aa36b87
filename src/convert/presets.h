// Published model shapes by name, for synthetic models. The data is presets.json: each preset is the published config.json
// (what shapes the model, not the rest) and the kind of its tokenizer.
#pragma once

#include <string>
#include <vector>

#include "formats/json.h"

namespace kinglet::convert {

struct Preset {
  std::string name;
  std::string source;  ///< where the configuration was published
  Json config;         ///< members of config.json
  Json tokenizer;      ///< model, pre, add_bos, special ids by role
};

/// All presets, in the order of the file. Errors: internal (the built-in file is broken).
Result<std::vector<Preset>> presets();
/// By name. Errors: not_found, with the names there are.
Result<Preset> find_preset(std::string_view name);

}  // namespace kinglet::convert
