// Activations to int8 blocks with NEON; the same values as ref/quantize_act.cc.
#include <arm_neon.h>

#include "kernels/act_block.h"
#include "kernels/arm/weights_neon.h"
#include "kernels/rows.h"

namespace kinglet {
namespace {

#include "kernels/quantize_act.inl"

void quantize_block(const float* x, ActBlock& out) {
  float32x4_t v[8], largest = vdupq_n_f32(0.0f);
  for (int i = 0; i < 8; ++i) {
    v[i] = vld1q_f32(x + 4 * i);
    largest = vmaxnmq_f32(vabsq_f32(v[i]), largest);  // a NaN does not count, as in the reference
  }
  const float magnitude = vmaxnmvq_f32(largest);
  const float32x4_t inverse = vdupq_n_f32(magnitude > 0 ? 127.0f / magnitude : 0.0f);
  int32_t pair_sums[2][2];
  for (int half = 0; half < 2; ++half) {
    int32x4_t q[4];
    for (int i = 0; i < 4; ++i) q[i] = vcvtnq_s32_f32(vmulq_f32(v[4 * half + i], inverse));
    const int32x4_t sums = vaddq_s32(vaddq_s32(q[0], q[1]), vaddq_s32(q[2], q[3]));
    vst1_s32(pair_sums[half], vpadd_s32(vget_low_s32(sums), vget_high_s32(sums)));
    const int16x8_t low = vcombine_s16(vqmovn_s32(q[0]), vqmovn_s32(q[1])),
                    high = vcombine_s16(vqmovn_s32(q[2]), vqmovn_s32(q[3]));
    vst1q_s8(out.q + 16 * half, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
  }
  set_sums(magnitude, pair_sums, out);
}

}  // namespace

void fill_dotprod_activations(KernelTable& table) {
  fill_ref_activations(table);  // the size of a row is the same
  table.quantize_rows = quantize_rows;
}

}  // namespace kinglet
