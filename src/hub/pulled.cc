#include "hub/pulled.h"

#include <fstream>
#include <iterator>

#include "formats/json.h"
#include "host/error.h"
#include "hub/home.h"

namespace kinglet::hub {

Result<PulledIndex> PulledIndex::load() {
  KL_ASSIGN(const std::filesystem::path home, home_directory());
  const std::string path = (home / "pulled.json").string();
  PulledIndex index;
  std::ifstream file(path, std::ios::binary);
  if (!file) return index;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return error(Code::corrupt, "{}: not an object of names", path);
  for (const auto& [name, value] : json.items()) {
    // The value becomes a path component: a hand-edited file must not lead out of the cache.
    const std::string* entry = value.get_ptr<const std::string*>();
    if (!entry || entry->empty() || entry->front() == '.' || entry->find_first_of("/\\") != entry->npos) {
      return error(Code::corrupt, "{}: bad entry for {}", path, name);
    }
    index.entries_[name] = *entry;
  }
  return index;
}

std::optional<std::string> PulledIndex::find(std::string_view name) const {
  const auto it = entries_.find(name);
  if (it == entries_.end()) return std::nullopt;
  return it->second;
}

}  // namespace kinglet::hub
