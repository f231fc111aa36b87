// Loops over vectors with a shorter last one. Included inside an anonymous namespace, after one of avx512.inl, avx2.inl and
// neon.inl.

/// f(i, n) for the vectors of [0, n): n = kLanes, fewer in the last.
template <class F>
inline void for_vectors(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, int64_t{kLanes});
  if (i < n) f(i, n - i);
}
inline V load_lanes(const float* p, int64_t n) { return n == kLanes ? load(p) : load_part(p, n); }
inline void store_lanes(float* p, int64_t n, V x) { n == kLanes ? store(p, x) : store_part(p, n, x); }

/// Sum over [0, n) of term(i, lanes), whose absent lanes are zero; in four partial sums.
template <class F>
inline float sum_of(int64_t n, const F& term) {
  V sums[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j) sums[j] += term(i + j * kLanes, int64_t{kLanes});
  for (; i < n; i += kLanes) sums[0] += term(i, n - i < kLanes ? n - i : int64_t{kLanes});
  return reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]));
}
