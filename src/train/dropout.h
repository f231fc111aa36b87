// Dropout (Srivastava et al. 2014) where GPT-2 has it: on the embedding, and on what each block's attention and feed-forward add
// to the residual stream. Nothing of a mask is stored: every value's fate is a hash of its sequence's noise, the place in the
// program, its position and its column, so backward and repeated layers find the same mask, on any number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "spec/program.h"
#include "train/kernels.h"

namespace kinglet::train {

/// What the masks of one sequence are drawn from: `sample` from token `begin` on, in an epoch of a run. It does not matter how
/// sequences lie in batches and processes, nor where a run was interrupted.
uint64_t sequence_noise(uint64_t seed, uint64_t epoch, uint64_t sample, uint64_t begin);

/// Of each step: the input that is dropped from where it is added to the residual stream, 0 for an embedding (its output is
/// dropped), kNone: nothing is dropped.
std::vector<int8_t> dropout_sites(const Program& program);

class Dropout {
 public:
  /// Errors: out_of_range where `rate`, the share of values that are left out, is outside [0, 1).
  static Result<Dropout> create(double rate);
  Dropout() = default;

  bool any() const { return least_ > 0; }
  /// The row at `position` of a sequence, at the site of a step.
  DropoutRow row(uint64_t noise, int32_t step, int32_t position) const;

 private:
  int32_t least_ = 0;
  float scale_ = 1;
};

}  // namespace kinglet::train
