// What every row's quantize_rows shares. Included inside the anonymous namespace of each file, so that no copy compiled for a wider
// instruction set can become everyone's. Whoever includes it defines quantize_block.

/// 32 values of x to one block.
void quantize_block(const float* x, ActBlock& out);

/// All of a block but its values: `magnitude` is the largest |x|; pair_sums are of the int8 values of each half, of values 0 and 1 of every
/// four and of values 2 and 3.
[[maybe_unused]] void set_sums(float magnitude, const int32_t (&pair_sums)[2][2], ActBlock& out) {
  const int32_t sum16[2] = {pair_sums[0][0] + pair_sums[0][1], pair_sums[1][0] + pair_sums[1][1]};
  out.scale = magnitude / 127.0f;
  out.scaled_sum = out.scale * static_cast<float>(sum16[0] + sum16[1]);
  out.bias = -128 * (sum16[0] + sum16[1]);
  for (int half = 0; half < 2; ++half) out.bias16[half] = -128 * sum16[half];
  for (int pair = 0; pair < 2; ++pair) {
    out.pairs[pair] = static_cast<int16_t>(-(pair_sums[0][pair] + pair_sums[1][pair]));
    for (int half = 0; half < 2; ++half) out.pairs16[half][pair] = static_cast<int16_t>(-pair_sums[half][pair]);
  }
}

void quantize_rows(const float* x, int64_t x_stride, int64_t T, int64_t K, std::byte* out, size_t out_stride) {
  for (int64_t t = 0; t < T; ++t) {
    ActBlock* row = reinterpret_cast<ActBlock*>(out + static_cast<size_t>(t) * out_stride);
    for (int64_t b = 0; b < K / kActBlock; ++b) quantize_block(x + t * x_stride + b * kActBlock, row[b]);
  }
}
