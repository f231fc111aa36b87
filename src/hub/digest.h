// SHA-256 of files.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace kinglet::hub {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> bytes);
  std::string hex();  ///< lower case; nothing may be added after it

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Of the whole file at `path`; `read` is told how many bytes were read so far. Errors: not_found, io.
Result<std::string> sha256_file(const std::string& path, const std::function<void(uint64_t)>& read = {});

}  // namespace kinglet::hub
