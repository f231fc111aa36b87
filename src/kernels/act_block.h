// Int8 activations: a row of K values is K / 32 blocks, each one cache line that holds all a matrix product reads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace kinglet {

/// 32 values x ~ scale * q. With weights as unsigned numbers, w = u - 2^b, a product of integers starts at the bias shifted
/// right by 7 - b; minimums of weights multiply the scaled sums. The 16s are those of each half, for types that have a scale
/// for every 16 values.
struct ActBlock {
  int8_t q[kActBlock];
  float scale;
  float scaled_sum;  ///< scale * sum(q)
  int32_t bias;      ///< -128 * sum(q)
  int32_t bias16[2];
  float scaled_sum16[2];
  int32_t unused;
};
static_assert(sizeof(ActBlock) == 64);

}  // namespace kinglet
