// What of the forward walk is kept for the backward walk. Gradients are the same bits either way.
#pragma once

#include <cstdint>

namespace kinglet::train {

enum class Checkpointing : uint8_t {
  none,         ///< all that backward reads
  activations,  ///< but norms and gated activations, which cost little, are computed again
  layers,       ///< what a layer gets from the ones before; its forward walk is repeated when its backward is due
};

}  // namespace kinglet::train
