// Files that grow while a run goes on: JSON lines for programs, event files for TensorBoard.
#pragma once

#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "formats/json_fwd.h"
#include "train/trainer.h"

namespace kinglet::train {

/// What is written is handed to the system at once, so that a killed run leaves what it said.
class AppendFile {
 public:
  enum class Mode : uint8_t { begin, go_on };
  /// Errors: io.
  static Result<AppendFile> open(const std::string& path, Mode mode);
  Status write(std::string_view bytes);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  AppendFile(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

/// {"step": 0, "loss": 2.3, "lr": ..., "grad_norm": ..., "tokens": ..., "targets": ..., "seconds": ...} and, after an evaluation,
/// "held_out_loss".
Json to_json(const StepRecord& record);

class JsonLog {
 public:
  /// A run that begins at step 0 begins the file; one that goes on keeps the lines of the steps before `first_step`.
  static Result<JsonLog> open(const std::string& path, int64_t first_step);
  Status add(const StepRecord& record);

 private:
  explicit JsonLog(AppendFile file) : file_(std::move(file)) {}
  AppendFile file_;
};

/// The whole lines of a log for steps before `before`, in order; none where there is no such file. Errors: io.
Result<std::vector<Json>> read_log(const std::string& path, int64_t before = INT64_MAX);

}  // namespace kinglet::train
