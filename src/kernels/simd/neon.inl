// The vector of 64-bit Arm for simd/*.inl: 4 floats. Included inside an anonymous namespace, after <arm_neon.h>.

using V = float32x4_t;
constexpr int kLanes = 4;
constexpr int kTileRows = 6;
/// Of 32 registers: at most 24 sums; few rows take more columns, to have enough sums in flight.
constexpr int tile_columns(int rows) { return rows <= 3 ? 8 : 4; }

inline V zero() { return vdupq_n_f32(0.0f); }
inline V set1(float x) { return vdupq_n_f32(x); }
inline V load(const float* p) { return vld1q_f32(p); }
inline V load_part(const float* p, int64_t n) {
  float whole[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) whole[i] = p[i];
  return load(whole);
}
inline void store(float* p, V x) { vst1q_f32(p, x); }
inline void store_part(float* p, int64_t n, V x) {
  float whole[kLanes];
  store(whole, x);
  for (int64_t i = 0; i < n; ++i) p[i] = whole[i];
}

inline V load(const uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
inline V load_part(const uint16_t* p, int64_t n) {
  uint16_t whole[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) whole[i] = p[i];
  return load(whole);
}
inline void store_part(uint16_t* p, int64_t n, V x) {
  uint16_t whole[kLanes];
  vst1_u16(whole, vreinterpret_u16_f16(vcvt_f16_f32(x)));
  for (int64_t i = 0; i < n; ++i) p[i] = whole[i];
}

/// bfloat16: the upper half of a float.
inline V load_bf16(const uint16_t* p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }

inline V load(const int8_t* p) {
  uint32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  const int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
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
  const V once = load_part(p, n / 2);
  return vzip1q_f32(once, once);
}
inline V swap_pairs(V x) { return vrev64q_f32(x); }

inline V fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }   // a * b + c
inline V fnma(V a, V b, V c) { return vfmsq_f32(c, a, b); }  // c - a * b
/// a * b - c in even lanes, a * b + c in odd ones.
inline V fmaddsub(V a, V b, V c) {
  const V odd_positive = {-1.0f, 1.0f, -1.0f, 1.0f};
  return fma(a, b, c * odd_positive);
}
inline V min(V a, V b) { return vminq_f32(a, b); }  // a NaN goes through
inline V max(V a, V b) { return vmaxq_f32(a, b); }
inline V abs(V x) { return vabsq_f32(x); }
inline V copy_sign(V magnitude, V sign) { return vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude); }
inline V select_less(V a, V b, V yes, V no) { return vbslq_f32(vcltq_f32(a, b), yes, no); }
inline bool any_greater(V a, V b) { return vmaxvq_u32(vcgtq_f32(a, b)) != 0; }
/// x in lanes [begin, end), `other` elsewhere; any begin and end.
inline V keep_lanes(V x, int begin, int end, V other) {
  const int32x4_t lane = {0, 1, 2, 3};
  const uint32x4_t inside = vandq_u32(vcgeq_s32(lane, vdupq_n_s32(begin)), vcltq_s32(lane, vdupq_n_s32(end)));
  return vbslq_f32(inside, x, other);
}
inline V round_nearest(V x) { return vrndnq_f32(x); }
inline V power_of_two(int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
/// x * 2^n, n integral; rounds once into the subnormals. In two factors, since 2^n alone may not be a float.
inline V times_power(V x, V n) {
  const int32x4_t power = vcvtq_s32_f32(n), first = vshrq_n_s32(power, 1);
  return x * power_of_two(first) * power_of_two(vsubq_s32(power, first));
}
/// The same where 2^n and the result are normal.
inline V times_normal_power(V x, V n) { return x * power_of_two(vcvtq_s32_f32(n)); }

inline float first_lane(V x) { return vgetq_lane_f32(x, 0); }
inline float reduce_add(V x) { return vaddvq_f32(x); }
inline float reduce_max(V x) { return vmaxvq_f32(x); }
inline float square_root(float x) { return vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0); }
inline void prefetch(const void* p) { __builtin_prefetch(p, 0, 2); }
