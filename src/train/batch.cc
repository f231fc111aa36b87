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

}  // namespace kinglet::train
