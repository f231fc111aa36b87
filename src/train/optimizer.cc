#include "train/optimizer.h"

#include <algorithm>
#include <iterator>

#include "host/error.h"
#include "train/block_code.h"
#include "train/optimizer_kinds.h"

namespace kinglet::train {
namespace {
constexpr std::string_view kNames[] = {"adamw", "adamw8", "lion", "adafactor", "muon"};
}  // namespace

std::string_view name(OptimizerKind kind) { return kNames[static_cast<size_t>(kind)]; }

std::optional<OptimizerKind> optimizer_from_name(std::string_view text) {
  const auto found = std::find(std::begin(kNames), std::end(kNames), text);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<OptimizerKind>(found - std::begin(kNames));
}

Result<std::unique_ptr<Optimizer>> make_optimizer(const OptimizerOptions& options, std::vector<TrainedTensor> tensors) {
  for (const double beta : {options.beta1, options.beta2})
    if (!(beta >= 0 && beta < 1)) return error(Code::out_of_range, "betas lie from 0 to below 1, not at {}", beta);
  if (!(options.eps > 0)) return error(Code::out_of_range, "eps is above 0, not {}", options.eps);
  switch (options.kind) {
    case OptimizerKind::adamw:
      return make_adamw(options, std::move(tensors));
    case OptimizerKind::adamw8:
      return make_adamw8(options, std::move(tensors));
    case OptimizerKind::lion:
      return make_lion(options, std::move(tensors));
    case OptimizerKind::adafactor:
      return make_adafactor(std::move(tensors));
    case OptimizerKind::muon:
      return make_muon(options, std::move(tensors));
  }
  return Status(Code::internal, "an optimizer without a name");
}

uint64_t optimizer_state_bytes(OptimizerKind kind, const Shape& shape, bool hidden) {
  const auto values = static_cast<uint64_t>(shape.count().value_or(0));
  switch (kind) {
    case OptimizerKind::adamw:
      return 2 * 4 * values;
    case OptimizerKind::adamw8:
      return 2 * (values + 4 * ceil_div<uint64_t>(values, kBlockValues));
    case OptimizerKind::lion:
      return 4 * values;
    case OptimizerKind::adafactor:
      return 4 * adafactor_state_values(shape);
    case OptimizerKind::muon:
      return (hidden ? 1 : 2) * 4 * values;
  }
  return 0;
}

std::vector<std::vector<float>> moments_like(std::span<const TrainedTensor> tensors) {
  std::vector<std::vector<float>> moments;
  for (const TrainedTensor& t : tensors) moments.emplace_back(t.values.size(), 0.0f);
  return moments;
}

void append_moments(std::string_view prefix, std::span<const TrainedTensor> tensors,
                    std::vector<std::vector<float>>& moments, std::vector<StateTensor>& state) {
  for (size_t i = 0; i < tensors.size(); ++i)
    state.push_back({fmt::format("{}.{}", prefix, tensors[i].name), DType::f32, tensors[i].shape,
                     std::as_writable_bytes(std::span(moments[i]))});
}

}  // namespace kinglet::train
