// What the matrix products of training multiply in.
#pragma once

#include <cstdint>

namespace kinglet::train {

/// Sums are f32. Where the processor multiplies no bf16, everything is f32.
enum class Compute : uint8_t {
  f32,
  bf16_past_stored,  ///< f32, but bf16 where gradients pass frozen weights that are held as stored (QLoRA: Dettmers et al. 2023)
  bf16,              ///< bf16 in every product but the int8 ones with weights that are held as stored
};

}  // namespace kinglet::train
