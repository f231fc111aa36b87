// Activations to int8 blocks with AVX2; the same values as ref/quantize_act.cc.
#include <immintrin.h>

#include "kernels/act_block.h"
#include "kernels/rows.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {
namespace {

inline float largest_of(__m256 v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}

inline int32_t sum_of(__m128i v) {
  v = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(v, _mm_shuffle_epi32(v, 0xb1)));
}

void quantize_block(const float* x, ActBlock& out) {
  const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  __m256 v[4], largest = _mm256_setzero_ps();
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_loadu_ps(x + 8 * i);
    largest = _mm256_max_ps(_mm256_and_ps(v[i], no_sign), largest);
  }
  const float magnitude = largest_of(largest);
  const __m256 inverse = _mm256_set1_ps(magnitude > 0 ? 127.0f / magnitude : 0.0f);
  __m256i q[4];
  for (int i = 0; i < 4; ++i) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
  const __m256i first = _mm256_add_epi32(q[0], q[1]), second = _mm256_add_epi32(q[2], q[3]);
  const int32_t sum16[2] = {sum_of(_mm_add_epi32(_mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1))),
                            sum_of(_mm_add_epi32(_mm256_castsi256_si128(second), _mm256_extracti128_si256(second, 1)))};
  // The packs work on 128-bit halves; the permutation puts the quads back in order.
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.q), _mm256_permutevar8x32_epi32(bytes, order));
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

}  // namespace

void fill_avx2_activations(KernelTable& table) {
  fill_ref_activations(table);  // the size of a row is the same
  table.quantize_rows = quantize_rows;
}

}  // namespace kinglet
