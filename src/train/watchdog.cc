#include "train/watchdog.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "formats/json.h"
#include "host/error.h"

namespace kinglet::train {
namespace {

constexpr double kSmoothing = 0.1;

uint64_t digest_of(std::span<const float> values) {
  uint64_t digest = 0;
  for (const float v : values) digest = (digest ^ std::bit_cast<uint32_t>(v)) * 0x9e3779b97f4a7c15ull + (digest >> 29);
  return digest;
}

std::vector<uint64_t> digests_of(std::span<const TrainedTensor> tensors, const Parallel& parallel) {
  std::vector<uint64_t> digests(tensors.size());
  parallel.for_each(static_cast<int64_t>(tensors.size()), [&](int64_t i, int) {
    digests[static_cast<size_t>(i)] = digest_of(tensors[static_cast<size_t>(i)].values);
  });
  return digests;
}

}  // namespace

Status LossWatchdog::check(double loss, double gradient_norm) {
  constexpr std::string_view kAdvice = "lower the learning rate, clip gradients or warm up longer";
  if (!std::isfinite(loss)) return error(Code::out_of_range, "the loss is {}; {}", loss, kAdvice);
  if (!std::isfinite(gradient_norm))
    return error(Code::out_of_range, "the gradient's norm is {}; {}", gradient_norm, kAdvice);
  smooth_ = started_ ? smooth_ + kSmoothing * (loss - smooth_) : loss;
  lowest_ = started_ ? std::min(lowest_, smooth_) : loss;
  started_ = true;
  if (smooth_ <= lowest_ + most_rise_) return ok_status();
  return error(Code::out_of_range, "the loss explodes: {:.4f} on average after {:.4f}, a rise of more than {}; {}",
               smooth_, lowest_, most_rise_, kAdvice);
}

Json LossWatchdog::state() const { return started_ ? Json{{"smooth", smooth_}, {"lowest", lowest_}} : Json(); }

void LossWatchdog::restore(const Json& state) {
  const auto number = [&state](const char* key) {
    return state.is_object() && state.contains(key) && state[key].is_number();
  };
  started_ = number("smooth") && number("lowest");
  if (!started_) return;
  smooth_ = state["smooth"].get<double>();
  lowest_ = state["lowest"].get<double>();
}

ChangeWatchdog::ChangeWatchdog(std::span<const TrainedTensor> tensors, const Parallel& parallel)
    : digests_(digests_of(tensors, parallel)) {}

Status ChangeWatchdog::check(std::span<const TrainedTensor> tensors, const Parallel& parallel) const {
  const std::vector<uint64_t> now = digests_of(tensors, parallel);
  for (size_t i = 0; i < now.size(); ++i)
    if (now[i] == digests_[i])
      return error(Code::out_of_range,
                   "{} is trained and has not changed; its gradient is 0 or the learning rate too small for its values",
                   tensors[i].name);
  return ok_status();
}

}  // namespace kinglet::train
