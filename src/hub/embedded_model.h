// Models that are built into the program, for machines that can download nothing.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace kinglet::hub {

/// The bytes of the GGUF file called `name` in the registry's "embedded" sources. Errors: not_found.
Result<std::string_view> embedded_model(std::string_view name);

/// Writes it, whole or not at all. Errors: not_found, io, resource_exhausted (a full disk).
Status write_embedded_model(std::string_view name, const std::string& path);

}  // namespace kinglet::hub
