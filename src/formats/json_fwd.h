// The name of the JSON type, for headers that only pass it on: nlohmann's full header costs seconds of compile time.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace kinglet {

/// Keys keep their order: chat templates and tool schemas are rendered as they were written.
using Json = nlohmann::ordered_json;

}  // namespace kinglet
