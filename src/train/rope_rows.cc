#include "train/rope_rows.h"

#include <algorithm>
#include <cmath>

namespace kinglet::train {

void RopeRows::prepare(const Program& program, const Batch& batch, const Parallel& parallel) {
  program_ = &program;
  rows_.resize(2 * program.ropes.size());
  for (size_t i = 0; i < rows_.size(); ++i) {
    const RopeTable& table = program.ropes[i / 2];
    const bool of_long = i % 2 == 1;
    int64_t positions = 0;
    for (int64_t b = 0; b < batch.sequences(); ++b) {
      const int64_t length = batch.starts[static_cast<size_t>(b) + 1] - batch.starts[static_cast<size_t>(b)];
      if (is_long(table, length) == of_long) positions = std::max(positions, length);
    }
    Rows& rows = rows_[i];
    if (positions <= rows.positions) continue;
    const auto freq = of_long ? table.long_freq : table.freq;
    const auto half = static_cast<int64_t>(freq.size());
    rows.half = half;
    rows.positions = positions;
    rows.values.resize(static_cast<size_t>(3 * half * positions));
    parallel.for_each(positions, [&](int64_t position, int) {
      float* out = rows.values.data() + 3 * half * position;
      for (int64_t j = 0; j < half; ++j) {
        const float angle = static_cast<float>(position) * freq[static_cast<size_t>(j)];
        out[j] = std::cos(angle) * table.magnitude;
        out[half + j] = std::sin(angle) * table.magnitude;
        out[2 * half + j] = -out[half + j];
      }
    });
  }
}

RopeRows::Row RopeRows::row(int32_t table, int64_t position, int64_t length) const {
  const bool of_long = is_long(program_->ropes[static_cast<size_t>(table)], length);
  const Rows& rows = rows_[2 * static_cast<size_t>(table) + (of_long ? 1 : 0)];
  const float* cos = rows.values.data() + 3 * rows.half * position;
  return {cos, cos + rows.half, cos + 2 * rows.half};
}

}  // namespace kinglet::train
