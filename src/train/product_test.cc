// f32 products of a linear layer: against sums in double, and the same bits however rows are batched.
#include "train/product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "host/threads.h"
#include "kernels/testing.h"

namespace kinglet::train {
namespace {

/// A layer W (N, K) with a bias, and what it makes of the first T rows of x, added to 0.5.
struct Layer {
  int64_t N, K;
  std::vector<float> w = normal_values(N * K, 1), bias = normal_values(N, 2), x = normal_values(600 * K, 3);

  std::vector<float> forward(const KernelTable& row, int64_t T, int threads) const {
    ThreadPool pool(threads);
    Ledger ledger;
    const auto products = Products::create(row, gradient_kernels(row), pool.parallel(), ledger);
    std::vector<float> values = w, in = x, y(static_cast<size_t>(T * N), 0.5f);
    const Parameter weight{.shape = {N, K}, .values = values};
    products->forward({in.data(), K, T, K}, weight, bias.data(), {y.data(), N, T, N}, Write::add);
    return y;
  }
};

class ProductRows : public testing::TestWithParam<std::string> {};

// A few rows are multiplied as W x^T, many as x W^T.
TEST_P(ProductRows, AreTheSameBitsInSmallAndLargeBatches) {
  const KernelTable* row = find_kernels(GetParam().c_str());
  if (row == nullptr) GTEST_SKIP() << "this processor lacks " << GetParam();
  for (const Layer& layer : {Layer{130, 300}, Layer{257, 513}, Layer{600, 64}}) {
    const std::vector<float> many = layer.forward(*row, 600, 1);
    for (int64_t T : {1, 3, 17, 65, 600})
      for (int threads : {1, 2}) {
        const std::vector<float> few = layer.forward(*row, T, threads);
        EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin())) << T << " rows, " << threads << " threads";
      }
  }
}

TEST_P(ProductRows, AreThoseOfSumsInDouble) {
  const KernelTable* row = find_kernels(GetParam().c_str());
  if (row == nullptr) GTEST_SKIP() << "this processor lacks " << GetParam();
  const Layer layer{131, 517};
  const std::vector<float> y = layer.forward(*row, 19, 2);
  for (int64_t t = 0; t < 19; ++t)
    for (int64_t n = 0; n < layer.N; ++n) {
      double sum = 0.5 + double{layer.bias[static_cast<size_t>(n)]}, magnitude = std::fabs(sum);
      for (int64_t k = 0; k < layer.K; ++k) {
        const double product = double{layer.x[static_cast<size_t>(t * layer.K + k)]} *
                               double{layer.w[static_cast<size_t>(n * layer.K + k)]};
        sum += product;
        magnitude += std::fabs(product);
      }
      // K + 3 additions round by 2^-24 of a partial sum at most.
      ASSERT_NEAR(y[static_cast<size_t>(t * layer.N + n)], sum, static_cast<double>(layer.K + 3) * 0x1p-24 * magnitude);
    }
}

INSTANTIATE_TEST_SUITE_P(Rows, ProductRows, testing::ValuesIn(kernel_names()),
                         [](const auto& row) { return row.param; });

}  // namespace
}  // namespace kinglet::train
