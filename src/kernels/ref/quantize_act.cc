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
  int32_t sum16[2] = {0, 0};
  for (int i = 0; i < kActBlock; ++i) {
    out.q[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
    sum16[i / 16] += out.q[i];
  }
  set_sums(largest, sum16, out);
}

size_t quantized_row_bytes(int64_t K) { return static_cast<size_t>(K / kActBlock) * sizeof(ActBlock); }

}  // namespace

void fill_ref_activations(KernelTable& table) {
  table.quantize_rows = quantize_rows;
  table.quantized_row_bytes = quantized_row_bytes;
}

}  // namespace kinglet
