// What a user calls MODEL, turned into a path.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace kinglet::hub {

/// The path of `name`, in this order: a registry name or an hf: name that was pulled; a file or directory that exists;
/// the name of a file in the cache. A registry name wins over a file of the same name in the current folder (write
/// ./name for that one). Errors: not_found, telling what to run where the model can be pulled; invalid_argument for an
/// empty name.
Result<std::string> resolve_model(std::string_view name);

/// The model commands use where none is named.
Result<std::string> default_model_name();

}  // namespace kinglet::hub
