#include "cli/history.h"

#include <filesystem>

#include "host/file.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{64} << 20;

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out += text[i] == 'n' ? '\n' : text[i];
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> load_history(const std::string& path) {
  std::vector<std::string> entries;
  const auto file = read_file(path, kMaxBytes);
  if (!file.ok()) return entries;
  std::string_view rest = *file;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    if (end > 0) entries.push_back(unescape(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (entries.size() > kMostHistoryEntries) {
    entries.erase(entries.begin(), entries.end() - static_cast<ptrdiff_t>(kMostHistoryEntries));
  }
  return entries;
}

Status add_to_history(const std::string& path, std::string_view entry) {
  std::vector<std::string> entries = load_history(path);
  if (entry.empty() || (!entries.empty() && entries.back() == entry)) return ok_status();
  entries.emplace_back(entry);
  if (entries.size() > kMostHistoryEntries) entries.erase(entries.begin());
  std::string text;
  for (const std::string& e : entries) text += escape(e) + '\n';
  const auto folder = std::filesystem::path(path).parent_path().string();
  if (!folder.empty()) KL_TRY(make_directories(folder));
  KL_TRY(write_file(path, text));
  std::error_code ignored;
  using std::filesystem::perms;
  std::filesystem::permissions(path, perms::owner_read | perms::owner_write, ignored);
  return ok_status();
}

}  // namespace kinglet::cli
