#include "hub/pulled.h"

#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "hub/home.h"

namespace kinglet::hub {

Result<PulledIndex> PulledIndex::load() {
  KL_ASSIGN(const std::filesystem::path home, home_directory());
  const std::string path = (home / "pulled.json").string();
  PulledIndex index;
  if (!is_file(path)) return index;
  KL_ASSIGN(const Json json, read_json(path));
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

void PulledIndex::erase_file(std::string_view file) {
  std::erase_if(entries_, [file](const auto& entry) { return entry.second == file; });
}

Status PulledIndex::save() const {
  KL_ASSIGN(const std::filesystem::path home, home_directory());
  KL_TRY(make_directories(home.string()));
  Json json = Json::object();
  for (const auto& [name, file] : entries_) json[name] = file;
  return write_file((home / "pulled.json").string(), to_text(json, 2) + "\n");
}

}  // namespace kinglet::hub
