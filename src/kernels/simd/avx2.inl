// The vector of AVX2 with FMA and F16C for simd/*.inl: 8 floats. Included inside an anonymous namespace, after
// <immintrin.h>.

using V = __m256;
constexpr int kLanes = 8;
constexpr int kTileRows = 6;
/// Of 16 registers: at most 12 sums; few rows take more columns, to have enough sums in flight.
constexpr int tile_columns(int rows) { return rows == 1 ? 8 : rows <= 3 ? 4 : 2; }

inline __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline V zero() { return _mm256_setzero_ps(); }
inline V set1(float x) { return _mm256_set1_ps(x); }
inline V load(const float* p) { return _mm256_loadu_ps(p); }
inline V load_part(const float* p, int64_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
inline void store(float* p, V x) { _mm256_storeu_ps(p, x); }
inline void store_part(float* p, int64_t n, V x) { _mm256_maskstore_ps(p, first_lanes(n), x); }

inline V load(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline V load_part(const uint16_t* p, int64_t n) {
  alignas(16) uint16_t whole[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) whole[i] = p[i];
  return load(whole);
}
inline void store_part(uint16_t* p, int64_t n, V x) {
  const __m128i half = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  if (n == kLanes) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), half);
  alignas(16) uint16_t whole[kLanes];
  _mm_store_si128(reinterpret_cast<__m128i*>(whole), half);
  for (int64_t i = 0; i < n; ++i) p[i] = whole[i];
}

/// bfloat16: the upper half of a float.
inline V load_bf16(const uint16_t* p) {
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

inline V load(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline V load_part(const int8_t* p, int64_t n) {
  int8_t whole[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) whole[i] = p[i];
  return load(whole);
}
/// x is integral and fits.
inline void store_part(int8_t* p, int64_t n, V x) {
  float whole[kLanes];
  store(whole, x);
  for (int64_t i = 0; i < n; ++i) p[i] = static_cast<int8_t>(whole[i]);
}

/// n / 2 values (n <= kLanes), each twice.
inline V load_twice_part(const float* p, int64_t n) {
  return _mm256_permutevar8x32_ps(load_part(p, n / 2), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
}
inline V swap_pairs(V x) { return _mm256_permute_ps(x, 0xb1); }
/// a * b - c in even lanes, a * b + c in odd ones.
inline V fmaddsub(V a, V b, V c) { return _mm256_fmaddsub_ps(a, b, c); }

inline V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }    // a * b + c
inline V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a * b
inline V min(V a, V b) { return _mm256_min_ps(a, b); }
inline V max(V a, V b) { return _mm256_max_ps(a, b); }  // b where a is NaN
inline V sign_bit() { return _mm256_set1_ps(-0.0f); }
inline V abs(V x) { return _mm256_andnot_ps(sign_bit(), x); }
inline V copy_sign(V magnitude, V sign) { return _mm256_or_ps(abs(magnitude), _mm256_and_ps(sign, sign_bit())); }
inline V select_less(V a, V b, V yes, V no) { return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
inline bool any_greater(V a, V b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0; }
/// x in lanes [begin, end), `other` elsewhere; any begin and end.
inline V keep_lanes(V x, int begin, int end, V other) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lane);
  const __m256i inside = _mm256_andnot_si256(before, _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane));
  return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(inside));
}
inline V round_nearest(V x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline V power_of_two(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
/// x * 2^n, n integral; rounds once into the subnormals. In two factors, since 2^n alone may not be a float.
inline V times_power(V x, V n) {
  const __m256i power = _mm256_cvtps_epi32(n), first = _mm256_srai_epi32(power, 1);
  return x * power_of_two(first) * power_of_two(_mm256_sub_epi32(power, first));
}
/// The same where 2^n and the result are normal.
inline V times_normal_power(V x, V n) { return x * power_of_two(_mm256_cvtps_epi32(n)); }

inline float first_lane(V x) { return _mm256_cvtss_f32(x); }
inline float reduce_add(V x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
inline float reduce_max(V x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
inline float square_root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
/// Into the second-level cache: more of these can be on their way than fills of the first level.
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }
