// The products of many tokens with unpacked slices on 64-bit Arm: what the rows share that differ in the instruction which multiplies
// integers. Included inside each file's anonymous namespace, after arm_neon.h, act_block.h, tiles.h and unrolled.h.

constexpr int kVectors = 4;  ///< of the rows of a panel

/// Where the sum of the products of one half (or whole) slice starts: the offset of the weights times the activations.
template <int halves, int offset_bits>
inline int32_t start(const ActBlock& x, int half) {
  if constexpr (offset_bits == 0) return 0;
  else return (halves == 1 ? x.bias : x.bias16[half]) >> (7 - offset_bits);
}

/// One panel (four vectors of rows) x TT tokens: n slices. Sums of integers fill the registers; the float accumulators stay in memory,
/// once a slice. The float operations on one accumulator are in the order of the direct kernels in matmul_quantized.h, so that both
/// give the same bits. Dots::add<halves, offset_bits, half, TT>(slice, x, dot) gives dot[v][t], the exact sums of a half of a slice.
template <typename Dots, int halves, bool mins, int offset_bits, int TT>
void tile(const uint8_t* slice, int n, const std::byte* acts, size_t act_stride, float* acc, bool first) {
  if (first)
    for (int i = 0; i < kVectors * TT; ++i) vst1q_f32(acc + 4 * i, vdupq_n_f32(0.0f));
  for (int s = 0; s < n; ++s, slice += slice_bytes(1, halves, mins), acts += sizeof(ActBlock)) {
    const ActBlock* x[TT];
    for (int t = 0; t < TT; ++t) x[t] = reinterpret_cast<const ActBlock*>(acts + static_cast<size_t>(t) * act_stride);
    const float* scales = reinterpret_cast<const float*>(slice + 512);
    float32x4_t sum[kVectors][TT];
    unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
      int32x4_t dot[kVectors][TT];
      Dots::template add<halves, offset_bits, half, TT>(slice, x, dot);
      unrolled<kVectors * TT>([&]<int i>() __attribute__((always_inline)) {
        constexpr int v = i % kVectors, t = i / kVectors;
        const float32x4_t f = vcvtq_f32_s32(dot[v][t]), scale = vld1q_f32(scales + 16 * half + 4 * v);
        sum[v][t] = half == 0 ? vmulq_f32(f, scale) : vfmaq_f32(sum[v][t], f, scale);
      });
    });
    unrolled<kVectors * TT>([&]<int i>() __attribute__((always_inline)) {
      constexpr int v = i % kVectors, t = i / kVectors;
      float* to = acc + 16 * t + 4 * v;
      float32x4_t y = vfmaq_f32(vld1q_f32(to), sum[v][t], vdupq_n_f32(x[t]->scale));
      if constexpr (mins) {
        unrolled<halves>([&]<int half>() __attribute__((always_inline)) {
          const float sum16 = halves == 1 ? x[t]->scaled_sum : scaled_sum16(*x[t], half);
          y = vfmsq_f32(y, vld1q_f32(scales + 16 * (halves + half) + 4 * v), vdupq_n_f32(sum16));
        });
      }
      vst1q_f32(to, y);
    });
  }
}

constexpr int kWidest = 4;

template <typename Dots, int halves, bool mins, int offset_bits>
void run(const TileArgs& a) {
  constexpr void (*kTiles[])(const uint8_t*, int, const std::byte*, size_t, float*, bool) = {
      nullptr, tile<Dots, halves, mins, offset_bits, 1>, tile<Dots, halves, mins, offset_bits, 2>,
      tile<Dots, halves, mins, offset_bits, 3>, tile<Dots, halves, mins, offset_bits, 4>};
  const int64_t count = (a.T + kWidest - 1) / kWidest;
  int64_t t = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = a.T * (i + 1) / count;
    kTiles[end - t](a.slices, a.n, a.acts + static_cast<size_t>(t) * a.act_stride, a.act_stride, a.acc + 16 * t,
                    a.first);
    t = end;
  }
}

template <typename Dots>
void multiply_tiles(const SliceKind& kind, const TileArgs& a) {
  if (kind.halves == 1) {
    if (kind.mins) return run<Dots, 1, true, 0>(a);               // q4_1, q5_1, q4_k, q5_k
    if (kind.offset_bits == 3) return run<Dots, 1, false, 3>(a);  // q4_0
    if (kind.offset_bits == 4) return run<Dots, 1, false, 4>(a);  // q5_0
    return run<Dots, 1, false, 0>(a);                             // q8_0, iq4
  }
  if (kind.mins) return run<Dots, 2, true, 0>(a);               // q2_k
  if (kind.offset_bits == 2) return run<Dots, 2, false, 2>(a);  // q3_k
  return run<Dots, 2, false, 5>(a);                             // q6_k
}
