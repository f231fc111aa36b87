// What of the forward walk is kept for the backward walk. Gradients are the same bits either way.
#pragma once

#include <cstdint>
#include <string_view>

namespace kinglet::train {

enum class Checkpointing : uint8_t {
  none,         ///< all that backward reads
  activations,  ///< but norms and gated activations, which cost little, are computed again
  layers,       ///< what a layer gets from the ones before; its forward walk is repeated when its backward is due
};

/// As --checkpointing and a plan call it.
constexpr std::string_view name(Checkpointing mode) {
  return mode == Checkpointing::none ? "none" : mode == Checkpointing::activations ? "activations" : "layers";
}

}  // namespace kinglet::train
