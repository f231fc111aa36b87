// Activations to int8 blocks with AVX2; the same values as ref/quantize_act.cc.
#include <immintrin.h>

#include "kernels/act_block.h"
#include "kernels/rows.h"
#include "kernels/x86/weights_x86.h"

namespace kinglet {
namespace {

#include "kernels/quantize_act.inl"

inline float largest_of(__m256 v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}

/// Sums of the values whose index is 0, 1, 2, 3 modulo 4.
inline __m128i sums_by_four(__m256i a, __m256i b) {
  const __m256i sum = _mm256_add_epi32(a, b);
  return _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
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
  alignas(16) int32_t pair_sums[2][2];
  _mm_store_si128(reinterpret_cast<__m128i*>(pair_sums),
                  _mm_hadd_epi32(sums_by_four(q[0], q[1]), sums_by_four(q[2], q[3])));
  // The packs work on 128-bit halves; the permutation puts the quads back in order.
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.q), _mm256_permutevar8x32_epi32(bytes, order));
  set_sums(magnitude, pair_sums, out);
}

}  // namespace

void fill_avx2_activations(KernelTable& table) {
  fill_ref_activations(table);  // the size of a row is the same
  table.quantize_rows = quantize_rows;
}

}  // namespace kinglet
