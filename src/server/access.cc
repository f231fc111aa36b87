#include "server/access.h"

#include <algorithm>

#include "host/error.h"
#include "hub/digest.h"

namespace kinglet::server {
namespace {

constexpr std::string_view kHashed = "sha256:";
constexpr size_t kShortestKey = 16;

std::string hash_of(std::string_view key) {
  hub::Sha256 sha;
  sha.update(std::as_bytes(std::span(key)));
  return sha.hex();
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

std::string_view bearer(const HttpRequest& request) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view value = request.authorization;
  return value.starts_with(kScheme) ? without_blanks(value.substr(kScheme.size())) : std::string_view();
}

// "[::1]:8080", "localhost:8080" -> without the port
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, std::min(host.size(), host.find(']') + 1));
  return host.substr(0, host.find(':'));
}

}  // namespace

bool is_loopback(std::string_view host) {
  const bool v4 = host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || host == "::1" || host == "[::1]" || v4;
}

Result<Access> Access::create(const AccessOptions& options) {
  Access access(options);
  int line = 0;
  for (size_t at = 0; at < options.keys.size(); ++line) {
    const size_t end = std::min(options.keys.find('\n', at), options.keys.size());
    const std::string_view key = without_blanks(std::string_view(options.keys).substr(at, end - at));
    at = end + 1;
    if (key.empty() || key.starts_with('#')) continue;
    if (key.starts_with(kHashed)) {
      const std::string_view hash = key.substr(kHashed.size());
      if (hash.size() != 64 || hash.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
        return error(Code::invalid_argument, "API keys, line {}: after sha256: come 64 hexadecimal digits", line + 1);
      }
      access.hashes_.emplace_back(hash);
    } else if (key.size() < kShortestKey) {
      return error(Code::invalid_argument, "API keys, line {}: a key has at least {} characters", line + 1,
                   kShortestKey);
    } else {
      access.hashes_.push_back(hash_of(key));
    }
  }
  std::fill(access.options_.keys.begin(), access.options_.keys.end(), '\0');
  access.options_.keys.clear();
  if (!options.loopback && access.hashes_.empty()) {
    return Status(Code::invalid_argument,
                  "a server that others can reach needs API keys: give --api-key-file, or set KINGLET_API_KEY");
  }
  return access;
}

std::optional<ApiError> Access::refusal_of_origin(const HttpRequest& request) const {
  if (!known_host(without_port(request.host))) {
    return ApiError{403, "this server does not answer to that name; see --allow-host", "", "unknown_host"};
  }
  if (!known_origin(request)) {
    return ApiError{403, "pages of that origin may not use this server; see --allow-origin", "", "unknown_origin"};
  }
  return std::nullopt;
}

std::optional<ApiError> Access::refusal(const HttpRequest& request) const {
  if (auto foreign = refusal_of_origin(request)) return foreign;
  const bool open = request.method == "OPTIONS" || request.path == "/health";
  if (hashes_.empty() || open) return std::nullopt;
  const std::string_view key = bearer(request);
  if (key.empty()) return ApiError{401, "an API key is missing: send Authorization: Bearer KEY", "", "invalid_api_key"};
  if (std::ranges::find(hashes_, hash_of(key)) == hashes_.end()) {
    return ApiError{401, "that API key is not known here", "", "invalid_api_key"};
  }
  return std::nullopt;
}

std::string Access::client(const HttpRequest& request) const {
  return hashes_.empty() ? "" : hash_of(bearer(request)).substr(0, 8);
}

bool Access::known_host(std::string_view host) const {
  if (std::ranges::find(options_.hosts, host) != options_.hosts.end()) return true;
  if (!options_.loopback) return options_.hosts.empty();  // its own names are for its owner to say
  return is_loopback(host) || host.empty();
}

bool Access::known_origin(const HttpRequest& request) const {
  if (request.origin.empty()) return true;
  if (request.origin == "http://" + request.host || request.origin == "https://" + request.host) return true;
  return std::ranges::any_of(options_.origins, [&](const std::string& o) { return o == "*" || o == request.origin; });
}

std::vector<std::pair<std::string, std::string>> Access::origin_headers(const HttpRequest& request) const {
  if (request.origin.empty() || !known_origin(request)) return {};
  return {{"Access-Control-Allow-Origin", request.origin},
          {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
          {"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
          {"Vary", "Origin"}};
}

}  // namespace kinglet::server
