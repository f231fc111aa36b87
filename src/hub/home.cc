#include "hub/home.h"

#include <cstdlib>
#include <system_error>

namespace kinglet::hub {
namespace {

/// The value of an environment variable; nothing where it is unset or empty.
const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

Result<std::filesystem::path> home_directory() {
  if (const char* home = environment("KINGLET_HOME")) return std::filesystem::path(home);
  if (const char* cache = environment("XDG_CACHE_HOME")) return std::filesystem::path(cache) / "kinglet";
  for (const char* name : {"HOME", "USERPROFILE"}) {
    if (const char* home = environment(name)) return std::filesystem::path(home) / ".cache" / "kinglet";
  }
  return Status(Code::not_found, "no folder for models: set KINGLET_HOME");
}

Result<std::filesystem::path> models_directory() {
  KL_ASSIGN(std::filesystem::path home, home_directory());
  return home / "models";
}

bool is_there(const std::filesystem::path& path) {
  std::error_code ec;
  return std::filesystem::exists(path, ec);
}

}  // namespace kinglet::hub
