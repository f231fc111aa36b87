// Int8 activations: a row of K values is K / 32 blocks, each one cache line that holds all a matrix product reads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace kinglet {

/// 32 values x ~ scale * q. The sums let weights be unsigned, w = u - offset: the integer product starts at offset * neg_sum;
/// minimums of weights multiply the scaled sums. The 16s are those of each half, for types with a scale per 16.
struct ActBlock {
  int8_t q[kActBlock];
  float scale;
  float scaled_sum;       ///< scale * sum(q)
  int32_t neg_sum;        ///< -sum(q)
  int32_t neg_sum16[2];
  float scaled_sum16[2];
  int32_t unused;
};
static_assert(sizeof(ActBlock) == 64);

}  // namespace kinglet
