// Included inside an anonymous namespace, after <arm_neon.h>.

constexpr int64_t kTransposed = 4;

/// out[j * out_row + i] = w[i * w_row + j], i and j < kTransposed.
inline void transpose(const float* w, int64_t w_row, float* out, int64_t out_row) {
  const float32x4x2_t top = vtrnq_f32(vld1q_f32(w), vld1q_f32(w + w_row));
  const float32x4x2_t bottom = vtrnq_f32(vld1q_f32(w + 2 * w_row), vld1q_f32(w + 3 * w_row));
  for (int j = 0; j < 2; ++j) {
    vst1q_f32(out + j * out_row, vcombine_f32(vget_low_f32(top.val[j]), vget_low_f32(bottom.val[j])));
    vst1q_f32(out + (j + 2) * out_row, vcombine_f32(vget_high_f32(top.val[j]), vget_high_f32(bottom.val[j])));
  }
}
