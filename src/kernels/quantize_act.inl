// What every row's quantize_rows shares. Included inside the anonymous namespace of each file, so that no copy compiled for a wider
// instruction set can become everyone's. Whoever includes it defines quantize_block.

/// 32 values of x to one block.
void quantize_block(const float* x, ActBlock& out);

/// All of a block but its values: `magnitude` is the largest |x|, sum16 the sums of the int8 values of each half.
[[maybe_unused]] void set_sums(float magnitude, const int32_t (&sum16)[2], ActBlock& out) {
  out.scale = magnitude / 127.0f;
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
