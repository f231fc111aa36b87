// Activations to int8 blocks: the definition that every row's own version follows.
#include <cmath>

#include "kernels/act_block.h"
#include "kernels/rows.h"

namespace kinglet {
namespace {

#include "kernels/quantize_act.inl"

void quantize_block(const float* x, ActBlock& out) {
  float largest = 0;
  for (int i = 0; i < kActBlock; ++i) {
    const float magnitude = std::fabs(x[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  int32_t pair_sums[2][2] = {};
  for (int i = 0; i < kActBlock; ++i) {
    out.q[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
    pair_sums[i / 16][i / 2 % 2] += out.q[i];
  }
  set_sums(largest, pair_sums, out);
}

// Tiles read a stretch of several rows at once: where rows followed each other by multiples of 2 KB, the stretches would share a few sets
// of the first-level cache.
size_t act_row_bytes(int64_t K) {
  const size_t bytes = static_cast<size_t>((K + kActBlock - 1) / kActBlock) * sizeof(ActBlock);
  return bytes % 2048 == 0 ? bytes + 1024 : bytes;
}

}  // namespace

void fill_ref_activations(KernelTable& table) {
  table.quantize_rows = quantize_rows;
  table.act_row_bytes = act_row_bytes;
}

}  // namespace kinglet
