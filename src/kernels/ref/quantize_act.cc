// Activations to int8 blocks: the definition that every row's own version follows.
#include <cmath>

#include "kernels/act_block.h"
#include "kernels/rows.h"

namespace kinglet {
namespace {

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
  out.scale = largest / 127.0f;
  out.scaled_sum = out.scale * static_cast<float>(sum16[0] + sum16[1]);
  out.bias = -128 * (sum16[0] + sum16[1]);
  for (int half = 0; half < 2; ++half) {
    out.bias16[half] = -128 * sum16[half];
    out.scaled_sum16[half] = out.scale * static_cast<float>(sum16[half]);
  }
  out.unused = 0;
}

void quantize_rows(const float* x, int64_t x_stride, int64_t T, int64_t K, std::byte* out, size_t out_stride) {
  for (int64_t t = 0; t < T; ++t) {
    ActBlock* row = reinterpret_cast<ActBlock*>(out + static_cast<size_t>(t) * out_stride);
    for (int64_t b = 0; b < K / kActBlock; ++b) quantize_block(x + t * x_stride + b * kActBlock, row[b]);
  }
}

size_t quantized_row_bytes(int64_t K) { return static_cast<size_t>(K / kActBlock) * sizeof(ActBlock); }

}  // namespace

void fill_ref_activations(KernelTable& table) {
  table.quantize_rows = quantize_rows;
  table.quantized_row_bytes = quantized_row_bytes;
}

}  // namespace kinglet
