// The learning rate over a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"

namespace kinglet::train {

enum class ScheduleKind : uint8_t {
  constant,
  cosine,
  linear,
  wsd,  ///< warmup, stable, decay (Hu et al. 2024, MiniCPM)
};
std::string_view name(ScheduleKind kind);
std::optional<ScheduleKind> schedule_from_name(std::string_view name);

/// Steps count from 0. The first `warmup` steps climb in a line to the peak: step s has (s + 1) / warmup of it. Then constant
/// stays, cosine and linear fall to the floor at the end of the run, and wsd stays until its last `decay` steps and falls in a
/// line in them.
struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double peak = 1e-3;
  double floor = 0;    ///< learning rate at the end
  int64_t total = 1;   ///< steps of the run
  int64_t warmup = 0;  ///< in steps
  int64_t decay = 0;   ///< wsd: in steps

  /// Errors: out_of_range, naming what does not fit.
  Status check() const;
  double rate(int64_t step) const;
};

}  // namespace kinglet::train
