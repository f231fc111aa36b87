// HTTP by libcurl: small answers into memory, large files to disk, resumed where they broke off.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"

namespace kinglet::hub {

struct HttpOptions {
  std::string token;                  ///< sent as a bearer token, to the first host only
  long connect_seconds = 10;          ///< how long a connection may take to come up
  long stalled_seconds = 60;          ///< how long a transfer may stand still
  int retries = 5;                    ///< attempts after a connection that broke off; each resumes
  unsigned retry_milliseconds = 500;  ///< pause before the first of them; it doubles each time
  std::function<void(uint64_t done, uint64_t total)> progress;  ///< total 0: not known
};

/// The body at `url`, at most `max_bytes` of it. Errors: see download().
Result<std::string> http_get(const std::string& url, const HttpOptions& options, size_t max_bytes = size_t{64} << 20);

/// Fetches `url` into `path`.part and leaves it there, whole. A part that an earlier try left is continued where the
/// server says that the file is still the same, and started over otherwise. `expected_bytes` 0: not known; another
/// length is an error before anything is fetched. Errors: not_found (404), invalid_argument (401 and 403: a token is
/// missing or refused), io (no connection, broken off too often, the disk), corrupt (the length is not what was
/// expected).
Status download(const std::string& url, const std::string& path, uint64_t expected_bytes, const HttpOptions& options);

}  // namespace kinglet::hub
