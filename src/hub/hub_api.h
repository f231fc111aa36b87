// The Hugging Face hub: what a repository holds, and where its files are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kinglet::hub {

/// hf:owner/repo[:what]
struct HubName {
  std::string repo;  ///< owner/name
  std::string what;  ///< a file, a type as in "q4_k_m", or empty

  /// Errors: invalid_argument, with what is expected.
  static Result<HubName> parse(std::string_view text);
};

struct HubFile {
  std::string path;    ///< inside the repository
  uint64_t size = 0;   ///< 0: not known
  std::string sha256;  ///< empty: not known
};

/// $HF_ENDPOINT without a slash at its end, or the hub's own address.
std::string hub_endpoint();
/// $HF_TOKEN, or nothing.
std::string hub_token();

std::string hub_file_url(std::string_view repo, std::string_view path);

/// Every file of a repository. `connect_seconds`: how long a connection may take to come up. Errors: those of
/// http_get().
Result<std::vector<HubFile>> hub_files(const std::string& repo, long connect_seconds);

/// What a name means: one GGUF file, all parts of a split one, or the files of a model directory.
struct HubChoice {
  std::vector<HubFile> files;
  bool directory = false;
};
/// Errors: not_found, listing what there is; invalid_argument where several files fit.
Result<HubChoice> choose_files(const HubName& name, const std::vector<HubFile>& files);

}  // namespace kinglet::hub
