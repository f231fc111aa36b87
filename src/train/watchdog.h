// Stops runs that cannot come to anything.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "formats/json_fwd.h"
#include "train/trained_tensor.h"

namespace kinglet::train {

/// Looks at every step's loss and gradient.
class LossWatchdog {
 public:
  /// `most_rise`: in nats, of the smoothed loss over the lowest it has had.
  explicit LossWatchdog(double most_rise) : most_rise_(most_rise) {}

  /// Before the update. Errors: out_of_range, with what to try.
  Status check(double loss, double gradient_norm);

  Json state() const;
  void restore(const Json& state);

 private:
  double most_rise_;
  double smooth_ = 0;  ///< moving average, each step counting a tenth
  double lowest_ = 0;
  bool started_ = false;
};

/// A tensor that is trained and never changes is a mistake: a learning rate lost in rounding, a tensor that nothing reads.
class ChangeWatchdog {
 public:
  /// Remembers the tensors as they are.
  ChangeWatchdog(std::span<const TrainedTensor> tensors, const Parallel& parallel);
  /// Errors: out_of_range, naming a tensor that has not changed.
  Status check(std::span<const TrainedTensor> tensors, const Parallel& parallel) const;

 private:
  std::vector<uint64_t> digests_;
};

}  // namespace kinglet::train
