// Fetching models into the cache, and removing them from it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kinglet::hub {

struct PullOptions {
  bool force = false;                           ///< fetch again what is there
  std::function<void(const std::string&)> say;  ///< one line about what happens; may be empty
};

/// Fetches a registry name or an hf: name; the path of what is then in the cache. A registry model's sources are tried
/// in their order; what each of them said is in the error where none works. Digests are checked before anything appears
/// under its final name. Errors: not_found, invalid_argument, io, corrupt (a wrong digest), resource_exhausted (another
/// process is pulling the same model).
Result<std::string> pull(std::string_view name, const PullOptions& options = {});

/// Removes a pulled model by the name it was pulled by, or by its file's name; returns the path that is gone.
/// Errors: not_found, io.
Result<std::string> remove_model(std::string_view name);

/// A model that is here or that can be had.
struct Listed {
  std::string name;  ///< what to call it in a command
  std::string title;
  std::string licence;
  uint64_t size = 0;  ///< bytes, of what is here or of what would be fetched; 0: not known
  bool here = false;
  std::string path;  ///< where it is, or would be
};
/// The registry's models, then whatever else lies in the cache.
Result<std::vector<Listed>> list_models();

}  // namespace kinglet::hub
