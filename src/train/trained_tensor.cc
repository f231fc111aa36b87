#include "train/trained_tensor.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace kinglet::train {
namespace {

/// Eight running sums: a fixed order that vector units can follow.
double sum_of_squares(std::span<const float> values) {
  std::array<double, 8> sums{};
  size_t i = 0;
  for (; i + sums.size() <= values.size(); i += sums.size())
    for (size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += double{values[i + lane]} * double{values[i + lane]};
  for (; i < values.size(); ++i) sums[0] += double{values[i]} * double{values[i]};
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

std::vector<TrainedTensor> trained_tensors(Parameters& parameters, const TrainedTensorOptions& options) {
  std::vector<TrainedTensor> out;
  for (Parameter& p : parameters.all()) {
    if (!p.trained()) continue;
    out.push_back({.name = p.name,
                   .shape = p.shape,
                   .values = p.values,
                   .gradient = p.gradient,
                   .weight_decay = p.decay || options.decay_all ? options.weight_decay : 0,
                   .origin = p.origin,
                   .hidden = p.hidden,
                   .rate = p.name.ends_with(".lora_b") ? options.lora_plus_ratio : 1});
  }
  return out;
}

std::vector<Piece> cut_pieces(std::span<const TrainedTensor> tensors) {
  std::vector<Piece> pieces;
  for (size_t t = 0; t < tensors.size(); ++t)
    for (size_t begin = 0; begin < tensors[t].values.size(); begin += kPieceValues)
      pieces.push_back({t, begin, std::min(begin + kPieceValues, tensors[t].values.size())});
  return pieces;
}

double gradient_norm(std::span<const TrainedTensor> tensors, const Parallel& parallel) {
  const std::vector<Piece> pieces = cut_pieces(tensors);
  std::vector<double> sums(pieces.size());
  parallel.for_each(static_cast<int64_t>(pieces.size()), [&](int64_t i, int) {
    const Piece& p = pieces[static_cast<size_t>(i)];
    sums[static_cast<size_t>(i)] = sum_of_squares(tensors[p.tensor].gradient.subspan(p.begin, p.end - p.begin));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

float clip_factor(double norm, double most) {
  if (most <= 0) return 1.0f;
  return static_cast<float>(std::min(1.0, most / (norm + 1e-6)));
}

}  // namespace kinglet::train
