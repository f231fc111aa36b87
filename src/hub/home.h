// The cache folder: everything Kinglet fetches lies under one place, KINGLET_HOME.
#pragma once

#include <filesystem>

#include "base/status.h"

namespace kinglet::hub {

/// $KINGLET_HOME, else $XDG_CACHE_HOME/kinglet, else ~/.cache/kinglet. It need not exist.
/// Errors: not_found where the environment names no home at all.
Result<std::filesystem::path> home_directory();

/// Where pulled models lie: home_directory()/models.
Result<std::filesystem::path> models_directory();

/// Whether something lies at `path`; what cannot be looked at does not.
bool is_there(const std::filesystem::path& path);

}  // namespace kinglet::hub
