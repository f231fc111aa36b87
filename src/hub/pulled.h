// Which hub names (hf:owner/repo[:file-or-type]) were pulled to which file or folder of the cache.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace kinglet::hub {

/// The file pulled.json of the home directory. An absent one is empty.
class PulledIndex {
 public:
  static Result<PulledIndex> load();

  /// The entry's name inside models_directory().
  std::optional<std::string> find(std::string_view name) const;
  const std::map<std::string, std::string, std::less<>>& entries() const { return entries_; }

  void set(std::string name, std::string file) { entries_[std::move(name)] = std::move(file); }
  /// Forgets every name that leads to `file`.
  void erase_file(std::string_view file);
  /// Writes the file, atomically.
  Status save() const;

 private:
  std::map<std::string, std::string, std::less<>> entries_;
};

}  // namespace kinglet::hub
