// Random weights made directly in a data type's own blocks: random quants under scales that give the wanted spread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace kinglet::convert {

/// A fast generator (wyrand): good enough for weights that nobody trained, 8 bytes a nanosecond.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) { next(); }
  uint64_t next() {
    state_ += 0xa0761d6478bd642full;
    const unsigned __int128 product = static_cast<unsigned __int128>(state_) * (state_ ^ 0xe7037ed1a0b428dbull);
    return static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
  }
  /// About normal: mean 0, standard deviation 1, within 3.47 (the sum of four uniform numbers).
  float normal() {
    const uint64_t bits = next();
    const auto part = [bits](int shift) { return static_cast<float>((bits >> shift) & 0xffff); };
    return (part(0) + part(16) + part(32) + part(48) - 2 * 65535.0f) * (1.7320508f / 65535.0f);
  }

 private:
  uint64_t state_;
};

/// Fills whole blocks of `type` with values of mean 0 and standard deviation `deviation`.
void fill_random(DType type, float deviation, Random& random, std::span<std::byte> blocks);

}  // namespace kinglet::convert
