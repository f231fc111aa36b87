// Norms, rope, gated activations and elementwise kernels over the vector V. Included inside an anonymous namespace, after
// math.inl and lanes.inl.

void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  const float squares = sum_of(n, [&](int64_t i, int64_t m) {
    const V v = load_lanes(x + i, m);
    return v * v;
  });
  const V factor = set1(1.0f / square_root(squares / static_cast<float>(n) + eps));
  for_vectors(n, [&](int64_t i, int64_t m) {
    const V normal = load_lanes(x + i, m) * factor;
    store_lanes(out + i, m, weight != nullptr ? normal * load_lanes(weight + i, m) : normal);
  });
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* out) {
  const auto count = static_cast<float>(n);
  const float mean = sum_of(n, [&](int64_t i, int64_t m) { return load_lanes(x + i, m); }) / count;
  const V center = set1(mean);
  const float squares = sum_of(n, [&](int64_t i, int64_t m) {
    const V v = keep_lanes(load_lanes(x + i, m) - center, 0, static_cast<int>(m), zero());
    return v * v;
  });
  const V factor = set1(1.0f / square_root(squares / count + eps));
  for_vectors(n, [&](int64_t i, int64_t m) {
    V y = (load_lanes(x + i, m) - center) * factor;
    if (weight != nullptr) y = y * load_lanes(weight + i, m);
    if (bias != nullptr) y = y + load_lanes(bias + i, m);
    store_lanes(out + i, m, y);
  });
}

void rope_half(float* x, int64_t heads, int64_t D, int64_t rotary, const float* cos, const float* sin) {
  const int64_t half = rotary / 2;
  for (int64_t h = 0; h < heads; ++h, x += D)
    for_vectors(half, [&](int64_t i, int64_t m) {
      const V a = load_lanes(x + i, m), b = load_lanes(x + half + i, m);
      const V c = load_lanes(cos + i, m), s = load_lanes(sin + i, m);
      store_lanes(x + i, m, fnma(b, s, a * c));
      store_lanes(x + half + i, m, fma(b, c, a * s));
    });
}

void rope_interleaved(float* x, int64_t heads, int64_t D, int64_t rotary, const float* cos, const float* sin) {
  for (int64_t h = 0; h < heads; ++h, x += D)
    for_vectors(rotary / 2 * 2, [&](int64_t i, int64_t m) {
      const V v = load_lanes(x + i, m);
      const V c = load_twice_part(cos + i / 2, m), s = load_twice_part(sin + i / 2, m);
      store_lanes(x + i, m, fmaddsub(v, c, swap_pairs(v) * s));
    });
}

/// out = act(gate) * up.
template <class F>
inline void gated(const float* gate, const float* up, int64_t n, float* out, const F& act) {
  for_vectors(n, [&](int64_t i, int64_t m) {
    store_lanes(out + i, m, act(load_lanes(gate + i, m)) * load_lanes(up + i, m));
  });
}

inline V silu(V x) { return x / (set1(1.0f) + exp(zero() - x)); }

/// 0.5 x (1 + tanh(u)) = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3): nothing cancels.
inline V gelu_tanh(V x) {
  const V minus_two_u = x * fma(x * x, set1(-2.0f * 0.797884561f * 0.044715f), set1(-2.0f * 0.797884561f));
  return x / (set1(1.0f) + exp(minus_two_u));
}

/// 0.5 x erfc(-x / sqrt(2)), by erfc(-y) = 2 - erfc(y).
inline V gelu(V x) {
  const V half_erfc = set1(0.5f) * erfc_positive(abs(x) * set1(0.707106781f));
  return x * select_less(x, zero(), half_erfc, set1(1.0f) - half_erfc);
}

void silu_mul(const float* gate, const float* up, int64_t n, float* out) { gated(gate, up, n, out, silu); }
void gelu_tanh_mul(const float* gate, const float* up, int64_t n, float* out) { gated(gate, up, n, out, gelu_tanh); }
void gelu_mul(const float* gate, const float* up, int64_t n, float* out) { gated(gate, up, n, out, gelu); }

void add(const float* a, const float* b, int64_t n, float* out) {
  for_vectors(n, [&](int64_t i, int64_t m) { store_lanes(out + i, m, load_lanes(a + i, m) + load_lanes(b + i, m)); });
}

void scale(const float* x, float factor, int64_t n, float* out) {
  for_vectors(n, [&](int64_t i, int64_t m) { store_lanes(out + i, m, load_lanes(x + i, m) * set1(factor)); });
}

void gain(const float* x, const float* weight, const float* bias, int64_t n, float* out) {
  for_vectors(n, [&](int64_t i, int64_t m) {
    const V product = load_lanes(x + i, m) * load_lanes(weight + i, m);
    store_lanes(out + i, m, bias == nullptr ? product : product + load_lanes(bias + i, m));
  });
}

void softcap(const float* x, float cap, int64_t n, float* out) {
  const V limit = set1(cap);
  for_vectors(n, [&](int64_t i, int64_t m) { store_lanes(out + i, m, limit * tanh(load_lanes(x + i, m) / limit)); });
}

void fill_vector(KernelTable& table) {
  table.rms_norm = rms_norm;
  table.layer_norm = layer_norm;
  table.rope_half = rope_half;
  table.rope_interleaved = rope_interleaved;
  table.silu_mul = silu_mul;
  table.gelu_tanh_mul = gelu_tanh_mul;
  table.gelu_mul = gelu_mul;
  table.add = add;
  table.scale = scale;
  table.gain = gain;
  table.softcap = softcap;
}
