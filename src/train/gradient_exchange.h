// Gradients summed over processes in buckets, each as soon as the backward walk has finished its last gradient.
#pragma once

#include <vector>

#include "train/collective.h"
#include "train/parameters.h"

namespace kinglet::train {

class GradientExchange {
 public:
  /// `parameters` and `collective` must outlive it. Buckets are neighbours in memory, from the last parameter to the first:
  /// the order in which a backward walk finishes them.
  GradientExchange(Parameters& parameters, Collective& collective, size_t bucket_bytes = size_t{4} << 20);

  Collective& collective() { return *collective_; }

  /// From here on gradients that are ready are of the step's last batch.
  void begin_last_batch();
  /// The walk adds nothing more to this parameter's gradient.
  void ready(ParamId param);
  /// Sums what is left and waits for all. Errors: the collective's.
  Status finish();

  size_t buckets() const { return buckets_.size(); }
  size_t begun_early() const { return begun_early_; }  ///< buckets of the last step that the walk did not wait for

 private:
  struct Bucket {
    std::span<float> gradients;
    int32_t parameters = 0;  ///< trained ones in it
    int32_t waiting = 0;
  };
  // All processes begin their sums in the order of the buckets: a bucket that is ready waits for those before it.
  void begin_ready();

  Collective* collective_;
  std::vector<Bucket> buckets_;
  std::vector<int32_t> bucket_of_;  ///< of each parameter; kNone: frozen
  size_t begun_ = 0, begun_early_ = 0;
  bool last_batch_ = false;
  Status status_ = ok_status();
};

}  // namespace kinglet::train
