#include "hub/hub_api.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "formats/json.h"
#include "host/error.h"
#include "hub/http.h"

namespace kinglet::hub {
namespace {

constexpr size_t kMaxFiles = 20'000;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

bool is_repo_part(std::string_view text) {
  return !text.empty() && text.size() <= 96 && text.front() != '.' && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), is_name_character);
}

/// A path inside a repository that may become one in the cache: no way up, no absolute path.
bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > 500 || path.front() == '/' || path.find_first_of("\\:\n\r") != path.npos)
    return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

/// The path with what a URL cannot hold escaped.
std::string escaped(std::string_view path) {
  std::string out;
  for (char c : path) {
    if (is_name_character(c) || c == '/' || c == '~') out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

/// Whether `type` stands in the file's name between separators: q4_k_m in model-Q4_K_M.gguf, not in model-IQ4_K_M.gguf.
bool has_type(std::string_view path, std::string_view type) {
  const std::string name = lower(path.substr(path.rfind('/') + 1));
  const std::string wanted = lower(type);
  for (size_t at = name.find(wanted); at != name.npos; at = name.find(wanted, at + 1)) {
    const auto separates = [&](size_t i) {
      return i >= name.size() || name[i] == '-' || name[i] == '.' || name[i] == '_';
    };
    const size_t end = at + wanted.size();
    if ((at == 0 || separates(at - 1)) && separates(end) && !(end < name.size() && name[end] == '_')) return true;
  }
  return false;
}

/// model-00001-of-00003.gguf as model, and any other file's path as it is: parts of one model share it.
std::string without_part(const std::string& path) {
  static constexpr size_t kTail = std::string_view("-00001-of-00003.gguf").size();
  if (path.size() <= kTail || path[path.size() - kTail] != '-' || path.substr(path.size() - 14, 4) != "-of-")
    return path;
  return path.substr(0, path.size() - kTail);
}

std::string listing(const std::vector<HubFile>& files) {
  std::string out;
  for (const HubFile& file : files) out += (out.empty() ? "" : ", ") + file.path;
  return out;
}

/// Files of a model directory that Kinglet or a reader of the model may want.
bool belongs_to_directory(const std::string& path) {
  if (path.find('/') != path.npos) return false;
  const auto ends = [&](std::string_view suffix) { return path.ends_with(suffix); };
  return ends(".safetensors") || ends(".json") || ends(".jinja") || path == "tokenizer.model" || path == "vocab.txt" ||
         path == "merges.txt" || path.starts_with("LICENSE") || path == "README.md";
}

Result<HubChoice> choose_gguf(const HubName& name, const std::vector<HubFile>& all, std::vector<HubFile> found) {
  std::set<std::string> models;
  for (const HubFile& file : found) models.insert(without_part(file.path));
  if (models.empty()) {
    return error(Code::not_found, "hf:{}: no GGUF file for '{}'; there are: {}", name.repo, name.what, listing(all));
  }
  if (models.size() > 1) {
    return error(Code::invalid_argument, "hf:{}: several files fit, name one of: {}", name.repo, listing(found));
  }
  std::sort(found.begin(), found.end(), [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
  return HubChoice{std::move(found), false};
}

}  // namespace

Result<HubName> HubName::parse(std::string_view text) {
  const auto wrong = [text] {
    return error(Code::invalid_argument, "{}: not of the form hf:owner/repo[:file-or-type]", text);
  };
  if (!text.starts_with("hf:")) return wrong();
  const std::string_view rest = text.substr(3);
  const size_t colon = std::min(rest.find(':'), rest.size());
  const std::string_view repo = rest.substr(0, colon);
  const size_t slash = repo.find('/');
  if (slash == repo.npos || !is_repo_part(repo.substr(0, slash)) || !is_repo_part(repo.substr(slash + 1)))
    return wrong();
  HubName name;
  name.repo = std::string(repo);
  if (colon < rest.size()) {
    name.what = std::string(rest.substr(colon + 1));
    if (!is_safe_path(name.what)) return wrong();
  }
  return name;
}

std::string hub_endpoint() {
  const char* value = std::getenv("HF_ENDPOINT");
  std::string endpoint = value && *value ? value : "https://huggingface.co";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

std::string hub_token() {
  const char* value = std::getenv("HF_TOKEN");
  std::string token = value ? value : "";
  // A line end would start a header of its own.
  std::erase_if(token, [](char c) { return c == '\r' || c == '\n'; });
  return token;
}

std::string hub_file_url(std::string_view repo, std::string_view path) {
  return fmt::format("{}/{}/resolve/main/{}", hub_endpoint(), repo, escaped(path));
}

Result<std::vector<HubFile>> hub_files(const std::string& repo, long connect_seconds) {
  const std::string url = fmt::format("{}/api/models/{}?blobs=true", hub_endpoint(), repo);
  HttpOptions options;
  options.token = hub_token();
  options.connect_seconds = connect_seconds;
  KL_ASSIGN(const std::string body, http_get(url, options));
  auto json = parse_json(body);
  if (!json.ok()) return annotate(url, json.status());
  if (!json->is_object() || !json->contains("siblings") || !(*json)["siblings"].is_array()) {
    return error(Code::corrupt, "{}: no list of files", url);
  }
  std::vector<HubFile> files;
  for (const Json& item : (*json)["siblings"]) {
    if (!item.is_object() || !item.contains("rfilename") || !item["rfilename"].is_string()) continue;
    HubFile file{item["rfilename"].get<std::string>(), 0, {}};
    if (!is_safe_path(file.path)) continue;
    if (item.contains("size") && item["size"].is_number_unsigned()) file.size = item["size"].get<uint64_t>();
    if (item.contains("lfs") && item["lfs"].is_object() && item["lfs"].contains("sha256") &&
        item["lfs"]["sha256"].is_string()) {
      file.sha256 = lower(item["lfs"]["sha256"].get<std::string>());
    }
    if (files.size() == kMaxFiles) return error(Code::corrupt, "{}: more than {} files", url, kMaxFiles);
    files.push_back(std::move(file));
  }
  return files;
}

Result<HubChoice> choose_files(const HubName& name, const std::vector<HubFile>& files) {
  for (const HubFile& file : files) {
    if (!name.what.empty() && file.path == name.what) return HubChoice{{file}, false};
  }
  std::vector<HubFile> ggufs;
  bool has_safetensors = false;
  for (const HubFile& file : files) {
    if (lower(file.path).ends_with(".gguf")) ggufs.push_back(file);
    has_safetensors = has_safetensors || (file.path.ends_with(".safetensors") && belongs_to_directory(file.path));
  }
  if (name.what.empty() && has_safetensors) {
    HubChoice choice{{}, true};
    std::copy_if(files.begin(), files.end(), std::back_inserter(choice.files),
                 [](const HubFile& f) { return belongs_to_directory(f.path); });
    return choice;
  }
  std::vector<HubFile> found;
  if (name.what.empty()) {
    found = ggufs;
  } else {
    std::copy_if(ggufs.begin(), ggufs.end(), std::back_inserter(found),
                 [&](const HubFile& f) { return has_type(f.path, name.what); });
  }
  return choose_gguf(name, ggufs.empty() ? files : ggufs, std::move(found));
}

}  // namespace kinglet::hub
