// Blocks against ggml: the bytes its quantizers write for the same values, and the values its dequantizers read from them,
// both bit for bit (the expected values as a hash of their bits).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace kinglet {
namespace {

struct Expected {
  DType type;
  uint64_t dequantized_hash;  ///< FNV-1a of the f32 values' bytes
  const char* hex;
};
constexpr Expected kExpected[] = {
#include "kernels/testdata/blocks.inc"
};

/// Six super-blocks: bell-shaped, zeros, far from zero, with outliers, tiny, mostly constant. All exact in f32.
std::vector<float> inputs() {
  uint32_t state = 12345;
  const auto next = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<int>(state >> 16);
  };
  std::vector<float> x(256 * 6);
  for (size_t i = 0; i < x.size(); ++i) {
    int sum = -2 * 65535;
    for (int j = 0; j < 4; ++j) sum += next();
    float v = static_cast<float>(sum) * 0x1p-16f;
    switch (i / 256) {
      case 1:
        v = 0;
        break;
      case 2:
        v = v * 0.0625f + 0.75f;
        break;
      case 3:
        v = i % 37 == 0 ? v * 16 : v;
        break;
      case 4:
        v *= 0x1p-12f;
        break;
      case 5:
        v = i % 32 < 20 ? -0.5f : v;
        break;
      default:
        break;
    }
    x[i] = v;
  }
  return x;
}

std::vector<std::byte> from_hex(const std::string& hex) {
  std::vector<std::byte> bytes(hex.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  return bytes;
}

uint64_t fnv1a(const void* data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3u;
  return hash;
}

TEST(Quantize, WritesTheBytesThatGgmlWrites) {
  const std::vector<float> x = inputs();
  for (const Expected& e : kExpected) {
    const std::vector<std::byte> want = from_hex(e.hex);
    std::vector<std::byte> got(want.size(), std::byte{0xa5});
    quantize_row(e.type)(x.data(), static_cast<int64_t>(x.size()), got.data());
    const size_t block = info(e.type).block_bytes;
    for (size_t i = 0; i < want.size(); i += block) {
      EXPECT_EQ(std::memcmp(got.data() + i, want.data() + i, block), 0) << name(e.type) << " block " << i / block;
    }
  }
}

TEST(Dequantize, GivesGgmlsValuesBitForBit) {
  for (const Expected& e : kExpected) {
    const std::vector<std::byte> blocks = from_hex(e.hex);
    std::vector<float> y(256 * 6);
    dequantize_row(e.type)(blocks.data(), static_cast<int64_t>(y.size()), y.data());
    EXPECT_EQ(fnv1a(y.data(), y.size() * sizeof(float)), e.dequantized_hash) << name(e.type);
  }
}

TEST(Quantize, EveryTypeThatCanBeReadCanBeWrittenAndComesBackClose) {
  const std::vector<float> x = inputs();
  const int64_t n = static_cast<int64_t>(x.size());
  int types = 0;
  for (const DTypeInfo& t : kDTypes) {
    ASSERT_EQ(dequantize_row(t.dtype) == nullptr, quantize_row(t.dtype) == nullptr) << t.name;
    if (quantize_row(t.dtype) == nullptr) continue;
    ++types;
    std::vector<std::byte> blocks(*row_bytes(t.dtype, x.size()));
    std::vector<float> y(x.size());
    quantize_row(t.dtype)(x.data(), n, blocks.data());
    dequantize_row(t.dtype)(blocks.data(), n, y.data());
    double error = 0, power = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      error += (x[i] - y[i]) * (x[i] - y[i]);
      power += x[i] * x[i];
    }
    // Relative error about half a step of the range that b bits cut, some for the coarse types' scales.
    const double bits = 8.0 * t.block_bytes / t.block_values;
    EXPECT_LT(std::sqrt(error / power), 4 * std::pow(2.0, -std::min(bits, 9.0))) << t.name;
  }
  EXPECT_EQ(types, 15);
}

}  // namespace
}  // namespace kinglet
