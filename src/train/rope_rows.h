// Cosines and sines of the rotary tables, one row for each position.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "spec/program.h"
#include "train/batch.h"

namespace kinglet::train {

class RopeRows {
 public:
  /// Makes the rows that `batch` needs and which are not there yet.
  void prepare(const Program& program, const Batch& batch, const Parallel& parallel);

  /// Rotation of a position by a table, for a sequence of `length` tokens (longrope's factors depend on it).
  struct Row {
    const float* cos;
    const float* sin;
    const float* minus_sin;  ///< the rotation back
  };
  Row row(int32_t table, int64_t position, int64_t length) const;

 private:
  struct Rows {
    std::span<const float> freq;
    int64_t half = 0, positions = 0;
    std::vector<float> values;  ///< (positions, 3, half): cos, sin, -sin
  };
  static bool is_long(const RopeTable& table, int64_t length) {
    return !table.long_freq.empty() && length > table.original_context;
  }

  const Program* program_ = nullptr;
  std::vector<Rows> rows_;  ///< 2 a table: the usual factors and longrope's long ones
};

}  // namespace kinglet::train
