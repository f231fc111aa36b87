// What only the row of AMX has to show; matmul_test.cc runs it beside the others, by the emulator where the processor has no tiles.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/act_block.h"
#include "kernels/simd/tiles.h"
#include "kernels/testing.h"

namespace kinglet {
namespace {

using simd::SliceKind;

/// What a product of tiles takes.
struct Shape {
  SliceKind kind;
  int panels, n;
  int64_t T;
};

/// Random slices and activations, in the layout of tiles.h.
class Operands {
 public:
  explicit Operands(const Shape& s)
      : shape_(s),
        act_stride_(static_cast<size_t>(s.n) * sizeof(ActBlock) + 64),
        slices_(simd::kSliceScratch),
        acts_(static_cast<size_t>(s.T) * act_stride_) {
    std::mt19937 random(static_cast<uint32_t>(s.T * 8 + s.kind.halves * 4 + s.panels));
    for (size_t i = 0; i < slices_.size(); ++i) slices_.data()[i] = static_cast<uint8_t>(random());
    const size_t stride = simd::slice_bytes(1, s.kind.halves, s.kind.mins);
    for (size_t at = 0; at + stride <= slices_.size(); at += stride) {
      const std::vector<float> scales = normal_values(static_cast<int64_t>(stride - 512) / 4, random());
      std::memcpy(slices_.data() + at + 512, scales.data(), stride - 512);
    }
    const int64_t K = s.n * kActBlock;
    const std::vector<float> x = normal_values(s.T * K, random());
    available_kernels().rows[0]->quantize_rows(x.data(), K, s.T, K, acts_.data(), act_stride_);
  }
  std::vector<float> multiply(simd::MultiplyTiles* tiles, bool first) {
    Aligned<float> acc(static_cast<size_t>(shape_.T * shape_.panels * kPanelRows));
    for (size_t i = 0; i < acc.size(); ++i) acc.data()[i] = static_cast<float>(i);
    tiles(shape_.kind,
          {slices_.data(), shape_.panels, shape_.n, acts_.data(), act_stride_, shape_.T, acc.data(), first});
    return {acc.data(), acc.data() + acc.size()};
  }

 private:
  Shape shape_;
  size_t act_stride_;
  Aligned<uint8_t> slices_;
  Aligned<std::byte> acts_;
};

bool can_run() {
  const KernelRows rows = available_kernels();
  return rows.count > 0 && std::string(rows.rows[0]->name) == "amx";
}

TEST(AmxTiles, GiveTheBitsOfAvx512) {
  if (!can_run() && emulated_amx() == nullptr) GTEST_SKIP() << "no AVX-512 with bf16, which the row builds on";
  for (int halves : {1, 2})
    for (bool mins : {false, true})
      for (int panels : {1, 2})
        for (int64_t T : {6, 7, 16, 17, 31, 32, 50})
          for (int n : {1, 2, 5}) {
            Operands o({{halves, mins, 1, mins ? 0 : 7, false}, panels, n, T});
            for (bool first : {true, false}) {
              const std::vector<float> expected = o.multiply(simd::multiply_tiles_avx512, first);
              const std::vector<float> found = o.multiply(simd::multiply_tiles_amx, first);
              ASSERT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0)
                  << halves << " scales, minimums " << mins << ", " << panels << " panels, " << T << " tokens, " << n
                  << " slices, from zero " << first;
            }
          }
}

#if defined(__linux__)
TEST(AmxTiles, AreReleasedAfterEveryProduct) {
  if (can_run() || emulated_amx() == nullptr) GTEST_SKIP() << "only the emulator sees it";
  const int64_t before = amx::state().executed;
  Operands o({{1, false, 1, 7, false}, 1, 2, 20});
  o.multiply(simd::multiply_tiles_amx, true);
  EXPECT_FALSE(amx::state().configured);
  // A configuration, its release, and for each of two tiles of tokens and two slices two loads, a zero, a product and a store.
  EXPECT_EQ(amx::state().executed - before, 2 + 2 * 2 * 5);
}
#endif

}  // namespace
}  // namespace kinglet
