// A model's shape, from wherever it is published: what training from random weights and --plan begin with.
#pragma once

#include <span>
#include <string>

#include "formats/checkpoint.h"

namespace kinglet::cli {

/// A Hugging Face directory, a config.json, or a preset's name; each of `set` is KEY=VALUE of its configuration (then weights
/// are left out: they are of another shape). Errors: not_found, unsupported, corrupt, invalid_argument.
Result<Checkpoint> open_configuration(const std::string& model, std::span<const std::string> set);

}  // namespace kinglet::cli
