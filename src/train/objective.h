// What a run minimizes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/status.h"
#include "formats/json_fwd.h"

namespace kinglet::train {

/// Of one step's data, before its update.
struct StepLoss {
  double loss = 0;      ///< mean, in nats
  int64_t tokens = 0;   ///< that went through the model
  int64_t targets = 0;  ///< that counted
};

/// Knows the data and their order, and how gradients come about; the trainer knows the rest.
class Objective {
 public:
  virtual ~Objective() = default;

  /// Adds the gradient of the next step's mean loss to the trained tensors' gradients and moves on in the data.
  virtual Result<StepLoss> accumulate() = 0;
  /// Mean loss on held-out data; nothing where there are none.
  virtual Result<std::optional<double>> evaluate() = 0;

  /// Where it is in the data, and back there. Errors: corrupt.
  virtual Json cursor() const = 0;
  virtual Status restore(const Json& cursor) = 0;
};

}  // namespace kinglet::train
