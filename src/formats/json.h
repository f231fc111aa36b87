// JSON from outside, parsed with limits: depth and size are bounded and the error names the place.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/status.h"
#include "formats/json_fwd.h"

namespace kinglet {

struct JsonLimits {
  size_t max_bytes = size_t{256} << 20;
  int max_depth = 200;
};

/// Parses one JSON text. A repeated key keeps its last value. Errors (Code::corrupt): "line 3, column 7: ...", too deep,
/// too large. No exception leaves it.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

/// Parses the file at `path`; errors carry the path.
Result<Json> read_json(const std::string& path, const JsonLimits& limits = {});

/// `json` as text: on one line, or with `indent` spaces a level. Bytes that are no UTF-8 become U+FFFD.
std::string to_text(const Json& json, int indent = -1);

}  // namespace kinglet
