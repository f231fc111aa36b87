// A 64-bit hash of short strings: multiply-and-fold over words that may overlap. It need not resist an attacker who
// chooses keys, since every table that uses it bounds its probes by its load and compares the whole key.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace kinglet {

inline uint64_t fold_multiply(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t load_u64(const char* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

inline uint32_t load_u32(const char* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

inline uint64_t hash_bytes(std::string_view key) {
  constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15, kOdd2 = 0xD6E8FEB86659FD93;
  const char* p = key.data();
  const size_t n = key.size();
  uint64_t a = 0, b = 0, h = kOdd2 ^ n;
  if (n >= 8) {
    size_t rest = n;
    for (; rest > 16; rest -= 16, p += 16) h = fold_multiply(load_u64(p) ^ kOdd1, load_u64(p + 8) ^ h);
    a = load_u64(key.data() + n - 8);
    b = rest > 8 ? load_u64(p) : 0;
  } else if (n >= 4) {
    a = load_u32(p);
    b = load_u32(p + n - 4);
  } else if (n > 0) {
    a = static_cast<uint8_t>(p[0]) | static_cast<uint64_t>(static_cast<uint8_t>(p[n / 2])) << 8 |
        static_cast<uint64_t>(static_cast<uint8_t>(p[n - 1])) << 16;
  }
  return fold_multiply(a ^ kOdd1, b ^ h);
}

}  // namespace kinglet
