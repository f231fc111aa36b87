// Products in bf16: the three forms of a linear layer against f32 products of rounded factors.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "host/threads.h"
#include "kernels/testing.h"
#include "kernels/kernels.h"
#include "train/product.h"

namespace kinglet::train {
namespace {

/// Normal values, already rounded to bf16, so that f32 products of them are what bf16 ones are but for the sums.
std::vector<float> bf16_values(int64_t n, uint32_t seed) {
  std::vector<float> out = normal_values(n, seed);
  for (float& x : out) x = std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0xffff0000u);
  return out;
}

struct Shapes {
  int64_t T, N, K;
};

class Bf16Products : public testing::TestWithParam<Shapes> {
 protected:
  void SetUp() override {
    if (bf16_kernels(*find_kernels("")) == nullptr) GTEST_SKIP() << "this processor multiplies no bf16";
  }
  Products products(Compute compute, const Parallel& parallel) {
    const KernelTable& kernels = *find_kernels("");
    return *Products::create(kernels, gradient_kernels(kernels), parallel, ledger_, compute);
  }
  /// y, dx and dW of one layer, one behind the other.
  std::vector<float> results(Compute compute, const Parallel& parallel) {
    const auto [T, N, K] = GetParam();
    const Products by = products(compute, parallel);
    auto x = bf16_values(T * K, 1), dy = bf16_values(T * N, 2), w = bf16_values(N * K, 3), bias = bf16_values(N, 4);
    std::vector<float> out(static_cast<size_t>(T * N + T * K + N * K), 1.0f);
    float *y = out.data(), *dx = y + T * N, *dw = dx + T * K;
    const Parameter weight{.name = {}, .shape = {N, K}, .values = w};
    by.forward({x.data(), K, T, K}, weight, bias.data(), {y, N, T, N}, Write::store);
    by.input_gradient({dy.data(), N, T, N}, weight, {dx, K, T, K}, Write::add);
    by.weight_gradient({dy.data(), N, T, N}, {x.data(), K, T, K}, dw);
    return out;
  }
  Ledger ledger_;
};

TEST_P(Bf16Products, AreThoseOfRoundedFactors) {
  const auto serial = Parallel::serial();
  const std::vector<float> want = results(Compute::f32, serial), got = results(Compute::bf16, serial);
  const auto [T, N, K] = GetParam();
  // A product of two bf16 is exact in f32, so only the sums' order differs: each of n additions rounds by 2^-24 of a partial
  // sum, which is about sqrt(n).
  const auto n = static_cast<double>(std::max({T, N, K}));
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 0x1p-22 * n * std::sqrt(n) + 1e-6) << i;
}

TEST_P(Bf16Products, AreTheSameBitsForAnyThreads) {
  ThreadPool three(3);
  EXPECT_EQ(results(Compute::bf16, three.parallel()), results(Compute::bf16, Parallel::serial()));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Bf16Products,
    testing::Values(Shapes{1, 1, 1}, Shapes{7, 33, 65}, Shapes{67, 300, 257}, Shapes{130, 70, 515}), [](const auto& p) {
      return std::to_string(p.param.T) + "x" + std::to_string(p.param.N) + "x" + std::to_string(p.param.K);
    });

}  // namespace
}  // namespace kinglet::train
