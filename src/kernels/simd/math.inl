// exp, tanh and erfc on vectors, within a few ulp. Included inside an anonymous namespace, after one of avx512.inl,
// avx2.inl and neon.inl. Coefficients are interpolations at Chebyshev nodes, in double.

/// e^x = e^r 2^n, |r| <= ln(2) / 2. Constants first in min and max, so that a NaN goes through.
struct ExpParts {
  V n, r;
};
inline ExpParts exp_parts(V x) {
  const V n = round_nearest(x * set1(1.44269504f));
  return {n, fnma(n, set1(-2.12194440e-4f), fnma(n, set1(0.693359375f), x))};
}

/// e^r - 1 to about 1e-8.
inline V expm1_near_zero(V r) {
  V p = fma(set1(1.39261836e-3f), r, set1(8.36317905e-3f));
  p = fma(p, r, set1(4.16665546e-2f));
  p = fma(p, r, set1(1.66665770e-1f));
  p = fma(p, r, set1(0.5f));
  return fma(p, r * r, r);
}

/// e^x over the whole range: to 0 and infinity at its ends, through the subnormals.
inline V exp(V x) {
  const ExpParts e = exp_parts(min(set1(89.0f), max(set1(-104.0f), x)));
  return times_power(expm1_near_zero(e.r) + set1(1.0f), e.n);
}

/// 2^x for x <= 0, a weight of a softmax: 0 below 2^-124, so that no subnormal slows the sums down.
inline V exp2_weight(V x) {
  const V low = set1(-124.0f), kept = max(low, x);
  const V n = round_nearest(kept), r = kept - n;
  V p = fma(set1(1.54531629e-4f), r, set1(1.33908634e-3f));
  p = fma(p, r, set1(9.61808256e-3f));
  p = fma(p, r, set1(5.55035711e-2f));
  p = fma(p, r, set1(0.240226508f));
  p = fma(p, r, set1(0.693147188f));
  p = fma(p, r, set1(1.0f));
  return select_less(x, low, zero(), times_normal_power(p, n));
}

/// tanh |x| = e / (e + 2), e = exp(2 |x|) - 1, which has its relative accuracy at zero too.
inline V tanh(V x) {
  const ExpParts e = exp_parts(min(set1(20.0f), abs(x) + abs(x)));
  const V power = times_normal_power(set1(1.0f), e.n);
  const V less_one = fma(power, expm1_near_zero(e.r), power - set1(1.0f));
  return copy_sign(less_one / (less_one + set1(2.0f)), x);
}

/// erfc(x) for x >= 0: exp(-x^2) t P(t), t = 1 / (1 + 0.3 x).
inline V erfc_positive(V x) {
  const V t = set1(1.0f) / fma(set1(0.3f), x, set1(1.0f));
  V p = fma(set1(-0.130770877f), t, set1(0.49193427f));
  p = fma(p, t, set1(-0.526151663f));
  p = fma(p, t, set1(0.564514242f));
  p = fma(p, t, set1(-0.106983362f));
  p = fma(p, t, set1(0.220539169f));
  p = fma(p, t, set1(0.146796022f));
  p = fma(p, t, set1(0.17094912f));
  p = fma(p, t, set1(0.169173058f));
  return exp(zero() - x * x) * (t * p);
}
