// A few words of a model, for the report of a run.
#pragma once

#include <string>

#include "base/status.h"

namespace kinglet::cli {

struct SampleTextOptions {
  int64_t tokens = 120;
  float temperature = 0.8f;
  int threads = 0;
};

/// What the model in `folder` makes of `prompt`, continued as it stands; the same each time. Errors: the engine's.
Result<std::string> sample_text(const std::string& folder, const std::string& prompt, const SampleTextOptions& options);

}  // namespace kinglet::cli
