// Who may talk to the server: API keys, and the names and pages that a browser may reach it by.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"
#include "server/http_server.h"

namespace kinglet::server {

struct AccessOptions {
  /// One key a line: as it is, or as "sha256:" and the 64 hexadecimal digits of its hash. Empty lines and those that begin with # say
  /// nothing.
  std::string keys;
  bool loopback = true;            ///< reachable from this machine alone
  std::vector<std::string> hosts;  ///< more names that clients may call the server by
  std::vector<std::string>
      origins;  ///< web pages of other servers that may talk to it, e.g. "https://chat.example"; "*": all
};

class Access {
 public:
  /// Errors: invalid_argument for a line that is no key, and where the server would be reachable from elsewhere without one.
  static Result<Access> create(const AccessOptions& options);

  /// Why the request is refused; nothing where it is not. A server on loopback answers to its own names only: a page
  /// whose own name was made to point here (DNS rebinding) calls it by that one.
  std::optional<ApiError> refusal(const HttpRequest& request) const;
  /// The part of refusal() that asks for no key: the names and pages the server is called by.
  std::optional<ApiError> refusal_of_origin(const HttpRequest& request) const;
  /// Which key the request carries, for telling clients apart; empty where it needs none.
  std::string client(const HttpRequest& request) const;
  /// What the browser is told of who may read the answer; nothing where it does not ask.
  std::vector<std::pair<std::string, std::string>> origin_headers(const HttpRequest& request) const;

 private:
  explicit Access(AccessOptions options) : options_(std::move(options)) {}
  bool known_host(std::string_view host) const;
  bool known_origin(const HttpRequest& request) const;

  AccessOptions options_;
  std::vector<std::string> hashes_;
};

/// Whether `host` (an address or "localhost") is this machine's own.
bool is_loopback(std::string_view host);

}  // namespace kinglet::server
