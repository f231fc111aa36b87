// Int8 activations: a row of K values is K / 32 blocks, each one cache line that holds all a matrix product reads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace kinglet {

/// 32 values x ~ scale * q. With weights as unsigned numbers, w = u - 2^b, a product of integers starts at the bias shifted
/// right by 7 - b; minimums of weights multiply the scaled sums. The 16s are those of each half, for types that have a scale
/// for every 16 values. Where instructions add two products in 16 bits, sums there start at the pairs shifted left by b.
struct ActBlock {
  int8_t q[kActBlock];
  float scale;
  float scaled_sum;  ///< scale * sum(q)
  int32_t bias;      ///< -128 * sum(q)
  int32_t bias16[2];
  int16_t pairs[2];  ///< -sum of values 0 and 1 of every four, and of values 2 and 3
  int16_t pairs16[2][2];
};
static_assert(sizeof(ActBlock) == 64);

namespace {
/// scale * sum(q) of a half.
[[maybe_unused]] inline __attribute__((always_inline)) float scaled_sum16(const ActBlock& x, int half) {
  return x.scale * (static_cast<float>(x.bias16[half]) * (-1.0f / 128));
}
}  // namespace

}  // namespace kinglet
