// Several processes that train one model together: what they need of each other, and the implementation for one alone.
// Others are made outside this library (src/cluster).
#pragma once

#include <cstddef>
#include <span>

#include "base/status.h"

namespace kinglet::train {

/// Every process makes the same calls in the same order. Errors of all: io, where the others cannot be reached.
class Collective {
 public:
  virtual ~Collective() = default;
  virtual int rank() const = 0;  ///< in [0, size)
  virtual int size() const = 0;

  /// Begins to add `values` up over the processes, in place; they are left alone until finish_sums().
  virtual Status begin_sum(std::span<float> values) = 0;
  /// Lets the sums under way go on while something else is computed.
  virtual Status advance() = 0;
  virtual Status finish_sums() = 0;

  /// The sums over all processes, in place.
  virtual Status sum(std::span<double> values) = 0;

  /// The work is done. An object that goes without this ends all processes: they would wait for this one.
  virtual void leave() {}
};

/// One process.
class Alone final : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  Status begin_sum(std::span<float>) override { return ok_status(); }
  Status advance() override { return ok_status(); }
  Status finish_sums() override { return ok_status(); }
  Status sum(std::span<double>) override { return ok_status(); }
};

}  // namespace kinglet::train
