#include "train/batch.h"

#include <algorithm>

namespace kinglet::train {

void append_sequence(Batch& batch, std::span<const int32_t> ids, std::span<const int32_t> labels) {
  if (ids.empty()) return;
  batch.tokens.insert(batch.tokens.end(), ids.begin(), ids.end());
  for (size_t t = 0; t < ids.size(); ++t) {
    batch.positions.push_back(static_cast<int32_t>(t));
    batch.targets.push_back(t + 1 < labels.size() ? labels[t + 1] : kIgnore);
  }
  batch.starts.push_back(static_cast<int32_t>(batch.tokens.size()));
}

Batch make_batch(std::span<const Sample> samples) {
  Batch batch;
  for (const Sample& sample : samples) append_sequence(batch, sample.ids, sample.labels);
  return batch;
}

int64_t unmasked(const Batch& batch) {
  return static_cast<int64_t>(batch.targets.size()) - std::count(batch.targets.begin(), batch.targets.end(), kIgnore);
}

std::vector<size_t> pack_bounds(std::span<const int64_t> lengths, int64_t budget, size_t most_sequences) {
  std::vector<size_t> bounds{0};
  int64_t tokens = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const bool empty = i == bounds.back();
    const bool full = tokens + lengths[i] > budget || (most_sequences > 0 && i - bounds.back() == most_sequences);
    if (!empty && full) {
      bounds.push_back(i);
      tokens = 0;
    }
    tokens += lengths[i];
  }
  if (!lengths.empty()) bounds.push_back(lengths.size());
  return bounds;
}

}  // namespace kinglet::train
