#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>

#include "host/error.h"

namespace kinglet::train {
namespace {
constexpr std::string_view kNames[] = {"constant", "cosine", "linear", "wsd"};
}  // namespace

std::string_view name(ScheduleKind kind) { return kNames[static_cast<size_t>(kind)]; }

std::optional<ScheduleKind> schedule_from_name(std::string_view text) {
  const auto found = std::find(std::begin(kNames), std::end(kNames), text);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<ScheduleKind>(found - std::begin(kNames));
}

Status Schedule::check() const {
  if (!(peak > 0) || !std::isfinite(peak)) return error(Code::out_of_range, "a learning rate is above 0, not {}", peak);
  if (!(floor >= 0) || floor > peak)
    return error(Code::out_of_range, "the last learning rate lies between 0 and {}, not at {}", peak, floor);
  if (total < 1) return error(Code::out_of_range, "a run has at least one step, not {}", total);
  if (warmup < 0 || warmup > total)
    return error(Code::out_of_range, "{} steps of warmup do not fit a run of {}", warmup, total);
  if (kind == ScheduleKind::wsd && (decay < 0 || decay > total - warmup))
    return error(Code::out_of_range, "{} steps of warmup and {} of decay do not fit a run of {}", warmup, decay, total);
  return ok_status();
}

double Schedule::rate(int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (kind == ScheduleKind::constant) return peak;
  const int64_t first = kind == ScheduleKind::wsd ? total - decay : warmup;  // of the fall
  if (step < first || total <= first) return peak;
  const double share = std::min(1.0, static_cast<double>(step - first) / static_cast<double>(total - first));
  const double left = kind == ScheduleKind::cosine ? 0.5 * (1 + std::cos(std::numbers::pi * share)) : 1 - share;
  return floor + (peak - floor) * left;
}

}  // namespace kinglet::train
