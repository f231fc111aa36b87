#include "base/half.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace kinglet {
namespace {

TEST(Half, EveryF16ComesBack) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const auto bits = static_cast<uint16_t>(h);
    const float f = f16_to_f32(bits);
    if (std::isnan(f)) {
      EXPECT_EQ(f32_to_f16(f), bits | 0x200u);
    } else {
      EXPECT_EQ(f32_to_f16(f), bits) << f;
    }
  }
}

TEST(Half, F16HasItsValue) {
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0f);
  EXPECT_EQ(f16_to_f32(0xc000), -2.0f);
  EXPECT_EQ(f16_to_f32(0x7bff), 65504.0f);
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24f);
  EXPECT_EQ(f16_to_f32(0x03ff), 1023 * 0x1p-24f);
  EXPECT_TRUE(std::signbit(f16_to_f32(0x8000)));
  EXPECT_EQ(f16_to_f32(0x7c00), std::numeric_limits<float>::infinity());
}

// Between two neighbours the nearer one is taken, and the even one from the exact middle.
TEST(Half, F16RoundsToNearestEven) {
  for (uint32_t h = 0; h < 0x7bff; ++h) {
    const auto low_bits = static_cast<uint16_t>(h);
    const auto high_bits = static_cast<uint16_t>(h + 1);
    const float low = f16_to_f32(low_bits), high = f16_to_f32(high_bits);
    const float middle = (low + high) / 2;
    EXPECT_EQ(f32_to_f16(middle), h % 2 == 0 ? low_bits : high_bits);
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, low)), low_bits);
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, high)), high_bits);
    EXPECT_EQ(f32_to_f16(-middle), f32_to_f16(middle) | 0x8000u);
  }
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(1e30f), 0x7c00);
  EXPECT_EQ(f32_to_f16(1e-30f), 0);
}

TEST(Half, Bf16HoldsWhatWasRoundedFromIt) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float wide = bf16_to_f32(static_cast<uint16_t>(bits));
    if (std::fabs(wide) <= kMaxF16) {
      EXPECT_TRUE(bf16_holds(f32_to_f16(wide))) << wide;
    }
  }
  int held = 0;
  for (uint32_t bits = 0x3c00; bits < 0x4000; ++bits) held += bf16_holds(static_cast<uint16_t>(bits));  // [1, 2)
  EXPECT_EQ(held, 128);
  EXPECT_TRUE(bf16_holds(0xff << 1));    // subnormal, eight significant bits
  EXPECT_FALSE(bf16_holds(0x101 << 1));  // nine
  EXPECT_FALSE(bf16_holds(0x7e00));      // a NaN
}

TEST(Half, Bf16) {
  for (uint32_t b = 0; b < 0x10000; ++b) {
    const auto bits = static_cast<uint16_t>(b);
    const float f = bf16_to_f32(bits);
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(f))));
    } else {
      EXPECT_EQ(f32_to_bf16(f), bits);
    }
  }
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);  // the middle, to even
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

}  // namespace
}  // namespace kinglet
