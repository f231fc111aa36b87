// What was typed before, kept in a file: one entry a line, line ends and backslashes inside it escaped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kinglet::cli {

inline constexpr size_t kMostHistoryEntries = 1000;

/// The entries of the file at `path`, oldest first; none where it cannot be read: a history is a convenience.
std::vector<std::string> load_history(const std::string& path);

/// Appends `entry`, unless it is the last one already, and drops the oldest above kMostHistoryEntries. The file is for
/// its owner's eyes only. What another program appended since is kept. Errors: io.
Status add_to_history(const std::string& path, std::string_view entry);

}  // namespace kinglet::cli
