// Other programs: run one and wait for it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"

namespace kinglet {

struct ProcessResult {
  int exit_code = 0;   ///< 128 + the signal's number where one ended it
  std::string output;  ///< the end of what it wrote to standard output and standard error together (a few kB)
};

struct ProcessOptions {
  std::vector<std::pair<std::string, std::string>> environment;  ///< set for it, beside ours
  std::function<void()> tick;                                    ///< called a few times a second while it runs
};

/// Runs words[0], found in PATH, with the words as they are: no shell reads them.
/// Errors: not_found where there is no such program, io.
Result<ProcessResult> run_process(const std::vector<std::string>& words, const ProcessOptions& options = {});

/// A lock between processes, held while it lives: a file that others wait for or are refused.
class FileLock {
 public:
  /// Errors: resource_exhausted where another process holds it, io.
  static Result<FileLock> acquire(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace kinglet
