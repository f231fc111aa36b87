// The vector of AVX-512 for simd/*.inl: 16 floats. Included inside an anonymous namespace, after <immintrin.h>.

using V = __m512;
constexpr int kLanes = 16;
constexpr int kTileRows = 6;  // of 32 registers: 6 x 4 sums, 4 loads, a broadcast
constexpr int tile_columns(int) { return 4; }

inline __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline V zero() { return _mm512_setzero_ps(); }
inline V set1(float x) { return _mm512_set1_ps(x); }
inline V load(const float* p) { return _mm512_loadu_ps(p); }
inline V load_part(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
inline void store(float* p, V x) { _mm512_storeu_ps(p, x); }
inline void store_part(float* p, int64_t n, V x) { _mm512_mask_storeu_ps(p, first_lanes(n), x); }

inline V load(const uint16_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline V load_part(const uint16_t* p, int64_t n) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p)); }
inline void store_part(uint16_t* p, int64_t n, V x) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/// bfloat16: the upper half of a float.
inline V load_bf16(const uint16_t* p) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

inline V from_int8(__m128i x) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x)); }
inline V load(const int8_t* p) { return from_int8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline V load_part(const int8_t* p, int64_t n) { return from_int8(_mm_maskz_loadu_epi8(first_lanes(n), p)); }
/// x is integral and fits.
inline void store_part(int8_t* p, int64_t n, V x) {
  _mm_mask_storeu_epi8(p, first_lanes(n), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

/// n / 2 values (n <= kLanes), each twice.
inline V load_twice_part(const float* p, int64_t n) {
  const __m512i index = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  return _mm512_permutexvar_ps(index, load_part(p, n / 2));
}
inline V swap_pairs(V x) { return _mm512_permute_ps(x, 0xb1); }
/// a * b - c in even lanes, a * b + c in odd ones.
inline V fmaddsub(V a, V b, V c) { return _mm512_fmaddsub_ps(a, b, c); }

inline V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }    // a * b + c
inline V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a * b
inline V min(V a, V b) { return _mm512_min_ps(a, b); }
inline V max(V a, V b) { return _mm512_max_ps(a, b); }  // b where a is NaN
inline V abs(V x) { return _mm512_abs_ps(x); }
inline V copy_sign(V magnitude, V sign) {
  const __m512i bit = _mm512_set1_epi32(static_cast<int>(0x80000000u));
  return _mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign), _mm512_castps_si512(magnitude), 0xca));
}
inline V select_less(V a, V b, V yes, V no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
inline bool any_greater(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }
/// x in lanes [begin, end), `other` elsewhere; any begin and end.
inline V keep_lanes(V x, int begin, int end, V other) {
  const uint32_t below_end = end >= kLanes ? 0xffffu : end <= 0 ? 0u : (1u << end) - 1u;
  const uint32_t below_begin = begin >= kLanes ? 0xffffu : begin <= 0 ? 0u : (1u << begin) - 1u;
  return _mm512_mask_blend_ps(static_cast<__mmask16>(below_end & ~below_begin), other, x);
}
inline V round_nearest(V x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/// x * 2^n, n integral; rounds once into the subnormals.
inline V times_power(V x, V n) { return _mm512_scalef_ps(x, n); }

/// The same where the result is normal.
inline V times_normal_power(V x, V n) { return _mm512_scalef_ps(x, n); }

inline float first_lane(V x) { return _mm512_cvtss_f32(x); }
inline float reduce_add(V x) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}
inline float reduce_max(V x) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  quarter = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)));
}
inline float square_root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
/// Into the second-level cache: more of these can be on their way than fills of the first level.
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }
