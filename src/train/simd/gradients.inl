// The row-wise kernels of train/kernels.h over the vector V. Included inside an anonymous namespace, after
// kernels/simd/math.inl and kernels/simd/lanes.inl.

inline void write_lanes(float* p, int64_t m, V x, bool add) {
  store_lanes(p, m, add ? x + load_lanes(p, m) : x);
}

inline V weighted(const NormRow& row, const float* dy, int64_t i, int64_t m) {
  const V g = load_lanes(dy + i, m);
  return row.weight != nullptr ? g * load_lanes(row.weight + i, m) : g;
}

void rms_norm(const NormRow& row, const float* dy, float* dx, bool add, float* dweight) {
  const auto count = static_cast<float>(row.n);
  const float squares = sum_of(row.n, [&](int64_t i, int64_t m) {
    const V v = load_lanes(row.x + i, m);
    return v * v;
  });
  const float factor = 1.0f / square_root(squares / count + row.eps);
  const float inner =
      sum_of(row.n, [&](int64_t i, int64_t m) { return weighted(row, dy, i, m) * load_lanes(row.x + i, m); });
  const V f = set1(factor), back = set1(factor * factor * factor * inner / count);
  for_vectors(row.n, [&](int64_t i, int64_t m) {
    const V x = load_lanes(row.x + i, m), g = load_lanes(dy + i, m);
    const V dx_row = fnma(x, back, weighted(row, dy, i, m) * f);
    if (dweight != nullptr) store_lanes(dweight + i, m, fma(g, x * f, load_lanes(dweight + i, m)));
    if (dx != nullptr) write_lanes(dx + i, m, dx_row, add);
  });
}

void layer_norm(const NormRow& row, const float* dy, float* dx, bool add, float* dweight, float* dbias) {
  const auto count = static_cast<float>(row.n);
  const float mean = sum_of(row.n, [&](int64_t i, int64_t m) { return load_lanes(row.x + i, m); }) / count;
  const V center = set1(mean);
  const auto centered = [&](int64_t i, int64_t m) {
    return keep_lanes(load_lanes(row.x + i, m) - center, 0, static_cast<int>(m), zero());
  };
  const float squares = sum_of(row.n, [&](int64_t i, int64_t m) {
    const V v = centered(i, m);
    return v * v;
  });
  const float factor = 1.0f / square_root(squares / count + row.eps);
  const V total = set1(sum_of(row.n, [&](int64_t i, int64_t m) { return weighted(row, dy, i, m); }) / count);
  const float inner = sum_of(row.n, [&](int64_t i, int64_t m) { return weighted(row, dy, i, m) * centered(i, m); });
  const V f = set1(factor), back = set1(factor * factor * inner / count);
  for_vectors(row.n, [&](int64_t i, int64_t m) {
    const V x = centered(i, m), g = load_lanes(dy + i, m);
    const V dx_row = f * (fnma(x, back, weighted(row, dy, i, m)) - total);
    if (dweight != nullptr) store_lanes(dweight + i, m, fma(g, x * f, load_lanes(dweight + i, m)));
    if (dbias != nullptr) store_lanes(dbias + i, m, g + load_lanes(dbias + i, m));
    if (dx != nullptr) write_lanes(dx + i, m, dx_row, add);
  });
}

/// An activation and its derivative at one place.
struct Activation {
  V value, slope;
};

template <class F>
inline void gated(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add,
                  const F& act) {
  for_vectors(n, [&](int64_t i, int64_t m) {
    const V g = load_lanes(dy + i, m), u = load_lanes(up + i, m);
    const Activation a = act(load_lanes(gate + i, m));
    if (dgate != nullptr) write_lanes(dgate + i, m, g * u * a.slope, add);
    if (dup != nullptr) write_lanes(dup + i, m, g * a.value, add);
  });
}

inline Activation silu(V x) {
  const V one = set1(1.0f), gate = one / (one + exp(zero() - x));
  return {x * gate, gate * fma(x, one - gate, one)};
}

/// x s(2 u), s the logistic function, u = sqrt(2 / pi) (x + 0.044715 x^3).
inline Activation gelu_tanh(V x) {
  constexpr float kTwice = 2.0f * 0.797884561f;
  const V one = set1(1.0f), square = x * x;
  const V two_u = x * fma(square, set1(kTwice * 0.044715f), set1(kTwice));
  const V gate = one / (one + exp(zero() - two_u));
  const V two_du = fma(square, set1(kTwice * 0.134145f), set1(kTwice));
  return {x * gate, fma(x * (gate * (one - gate)), two_du, gate)};
}

/// x P(x), P the normal distribution's: its derivative is P(x) + x p(x).
inline Activation gelu(V x) {
  const V half_erfc = set1(0.5f) * erfc_positive(abs(x) * set1(0.707106781f));
  const V below = select_less(x, zero(), half_erfc, set1(1.0f) - half_erfc);
  const V density = set1(0.398942280f) * exp(set1(-0.5f) * x * x);
  return {x * below, fma(x, density, below)};
}

void silu_mul(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add) {
  gated(gate, up, dy, n, dgate, dup, add, silu);
}
void gelu_tanh_mul(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add) {
  gated(gate, up, dy, n, dgate, dup, add, gelu_tanh);
}
void gelu_mul(const float* gate, const float* up, const float* dy, int64_t n, float* dgate, float* dup, bool add) {
  gated(gate, up, dy, n, dgate, dup, add, gelu);
}

void softcap(const float* y, const float* dy, float cap, int64_t n, float* dx, bool add) {
  const V inverse = set1(1.0f / cap);
  for_vectors(n, [&](int64_t i, int64_t m) {
    const V t = load_lanes(y + i, m) * inverse;
    write_lanes(dx + i, m, load_lanes(dy + i, m) * fnma(t, t, set1(1.0f)), add);
  });
}

void add_scaled(const float* x, float factor, int64_t n, float* y) {
  const V f = set1(factor);
  for_vectors(n, [&](int64_t i, int64_t m) { store_lanes(y + i, m, fma(f, load_lanes(x + i, m), load_lanes(y + i, m))); });
}

float dot(const float* a, const float* b, int64_t n) {
  return sum_of(n, [&](int64_t i, int64_t m) { return load_lanes(a + i, m) * load_lanes(b + i, m); });
}

constexpr float kLeast = -__builtin_inff();

void sum_exp(const float* x, int64_t n, float* max_out, float* sum_out) {
  V most = set1(kLeast);
  for_vectors(n, [&](int64_t i, int64_t m) {
    most = max(most, keep_lanes(load_lanes(x + i, m), 0, static_cast<int>(m), set1(kLeast)));
  });
  const V shift = set1(reduce_max(most));
  *sum_out = sum_of(n, [&](int64_t i, int64_t m) {
    return keep_lanes(exp(load_lanes(x + i, m) - shift), 0, static_cast<int>(m), zero());
  });
  *max_out = first_lane(shift);
}

void scaled_exp(float* x, int64_t n, float shift, float factor) {
  const V s = set1(shift), f = set1(factor);
  for_vectors(n, [&](int64_t i, int64_t m) { store_lanes(x + i, m, f * exp(load_lanes(x + i, m) - s)); });
}

inline V capped(V s, const ScoreRow& row) {
  const V scaled = s * set1(row.scale);
  return row.softcap > 0 ? set1(row.softcap) * tanh(scaled * set1(1.0f / row.softcap)) : scaled;
}
inline V seen(const ScoreRow& row, V x, int64_t i, int64_t m, V other) {
  const int64_t end = row.end - i < m ? row.end - i : m;
  return keep_lanes(x, static_cast<int>(row.begin - i < 0 ? 0 : row.begin - i), static_cast<int>(end < 0 ? 0 : end), other);
}

void attention_weights(const ScoreRow& row, float* s, float* max_out, float* sum_out) {
  V most = set1(kLeast);
  for_vectors(row.width, [&](int64_t i, int64_t m) {
    const V c = seen(row, capped(load_lanes(s + i, m), row), i, m, set1(kLeast));
    store_lanes(s + i, m, c);
    most = max(most, c);
  });
  const V shift = set1(reduce_max(most));
  *sum_out = sum_of(row.width, [&](int64_t i, int64_t m) {
    const V weight = seen(row, exp(load_lanes(s + i, m) - shift), i, m, zero());
    store_lanes(s + i, m, weight);
    return weight;
  });
  *max_out = first_lane(shift);
}

void attention_probabilities(const ScoreRow& row, float shift, float* s, float* p) {
  const V by = set1(shift);
  for_vectors(row.width, [&](int64_t i, int64_t m) {
    const V c = capped(load_lanes(s + i, m), row);
    if (row.softcap > 0) store_lanes(s + i, m, c);
    store_lanes(p + i, m, seen(row, exp(c - by), i, m, zero()));
  });
}

void attention_scores(const ScoreRow& row, float delta, const float* p, const float* c, float* dp) {
  const V d = set1(delta), scale = set1(row.scale);
  const V inverse = set1(row.softcap > 0 ? 1.0f / row.softcap : 0.0f);
  for_vectors(row.width, [&](int64_t i, int64_t m) {
    V ds = load_lanes(p + i, m) * (load_lanes(dp + i, m) - d) * scale;
    if (row.softcap > 0) {
      const V t = load_lanes(c + i, m) * inverse;
      ds = ds * fnma(t, t, set1(1.0f));
    }
    store_lanes(dp + i, m, ds);
  });
}

void fill_rows(GradientKernels& table) {
  table.rms_norm = rms_norm;
  table.layer_norm = layer_norm;
  table.silu_mul = silu_mul;
  table.gelu_tanh_mul = gelu_tanh_mul;
  table.gelu_mul = gelu_mul;
  table.softcap = softcap;
  table.add_scaled = add_scaled;
  table.dot = dot;
  table.dropout_factors = dropout_factors;
  table.sum_exp = sum_exp;
  table.scaled_exp = scaled_exp;
  table.attention_weights = attention_weights;
  table.attention_probabilities = attention_probabilities;
  table.attention_scores = attention_scores;
}
