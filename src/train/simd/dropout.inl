// Dropout's factors, in integers that every instruction set computes alike. Included inside an anonymous namespace.

/// Two rounds of multiplying and shifting, as in lowbias32 of hash-prospector, with half of the row's key before each.
void dropout_factors(const DropoutRow& row, int64_t first, int64_t n, float* factors) {
  const DropoutRow own = row;  // `factors` could be its scale, for all the compiler knows
  const auto begin = static_cast<uint32_t>(first);
  for (int64_t i = 0; i < n; ++i) {
    uint32_t x = own.key + (begin + static_cast<uint32_t>(i)) * 0x9E3779B9u;
    x = (x ^ (x >> 16)) * 0x21F0AAADu;
    x ^= own.second_key;
    x = (x ^ (x >> 15)) * 0x735A2D97u;
    x ^= x >> 15;
    factors[i] = static_cast<int32_t>(x >> 8) < own.least ? 0.0f : own.scale;
  }
}
