// NF4 against the paper's definition, and products with it against products with the values that it stands for.
#include "train/nf4.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "host/threads.h"
#include "kernels/testing.h"
#include "train/product.h"

namespace kinglet::train {
namespace {

struct Quantized {
  std::vector<float> values;
  std::vector<std::byte> bytes;
  Nf4Matrix matrix;
  Quantized(int64_t N, int64_t K, const Parallel& parallel) : values(normal_values(N * K, 5, 0.05f)) {
    bytes.resize(nf4_bytes(N, K));
    matrix = quantize_nf4({.rows = reinterpret_cast<const std::byte*>(values.data()),
                           .row_bytes = static_cast<size_t>(K) * sizeof(float),
                           .convert = dequantize_row(DType::f32),
                           .N = N,
                           .K = K},
                          parallel, bytes.data());
  }
};

TEST(Nf4, HasThePapersValues) {
  const auto v = nf4_values();
  EXPECT_EQ(v[0], -1);
  EXPECT_EQ(v[7], 0);
  EXPECT_EQ(v[15], 1);
  EXPECT_FLOAT_EQ(v[1], -0.6961928f);
  EXPECT_FLOAT_EQ(v[14], 0.7229568f);
  EXPECT_TRUE(std::is_sorted(v.begin(), v.end()));
}

// Each value is the nearest code times its block's scale; a scale is off by a few percent of its distance from the mean.
TEST(Nf4, TakesTheNearestValueOfEachBlock) {
  constexpr int64_t kN = 40, kK = 640;
  const Quantized q(kN, kK, Parallel::serial());
  std::vector<float> row(kK);
  double error = 0, size = 0;
  for (int64_t n = 0; n < kN; ++n) {
    q.matrix.decode(n, 0, kK, row.data());
    for (int64_t begin = 0; begin < kK; begin += kNf4Block) {
      const float* want = q.values.data() + n * kK + begin;
      float largest = 0;
      for (int64_t i = 0; i < kNf4Block; ++i) largest = std::max(largest, std::abs(want[i]));
      const uint8_t* codes = q.matrix.codes + (n * kK + begin) / 2;
      for (int64_t i = 0; i < kNf4Block; ++i) {
        const uint8_t code = i % 2 == 0 ? codes[i / 2] & 15 : codes[i / 2] >> 4;
        for (const float other : nf4_values())
          EXPECT_LE(std::abs(nf4_values()[code] * largest - want[i]), std::abs(other * largest - want[i]) + 1e-6f);
        EXPECT_NEAR(row[static_cast<size_t>(begin + i)], nf4_values()[code] * largest, 0.01 * largest);
        error += std::pow(row[static_cast<size_t>(begin + i)] - want[i], 2);
        size += std::pow(want[i], 2);
      }
    }
  }
  EXPECT_LT(std::sqrt(error / size), 0.1);  // of N(0, 1) it is about 0.09
  EXPECT_NEAR(static_cast<double>(q.bytes.size()) * 8 / (kN * kK), 4 + 8.0 / 64 + 32.0 / (64 * 256), 0.05);
}

TEST(Nf4, ThreadsDoNotChangeAByte) {
  ThreadPool pool(3);
  const Quantized one(70, 128, Parallel::serial()), three(70, 128, pool.parallel());
  EXPECT_EQ(one.bytes, three.bytes);
}

TEST(Nf4, ProductsReadTheValuesThatItStandsFor) {
  constexpr int64_t kN = 330, kK = 448, kT = 9;  // neither whole tiles nor whole parts
  Quantized q(kN, kK, Parallel::serial());
  std::vector<float> expanded(q.values.size());
  for (int64_t n = 0; n < kN; ++n) q.matrix.decode(n, 0, kK, expanded.data() + n * kK);
  const Parameter packed{.name = "w", .shape = {kN, kK}, .nf4 = q.matrix},
      plain{.name = "w", .shape = {kN, kK}, .values = expanded};
  for (const std::string& name : kernel_names()) {
    const KernelTable* kernels = find_kernels(name.c_str());
    if (kernels == nullptr) continue;
    Ledger ledger;
    ThreadPool pool(2);
    auto products = Products::create(*kernels, gradient_kernels(*kernels), pool.parallel(), ledger);
    ASSERT_TRUE(products.ok());
    auto x = normal_values(kT * kK, 5), dy = normal_values(kT * kN, 5);
    for (const bool forward : {true, false}) {
      std::vector<float> got(static_cast<size_t>(kT * (forward ? kN : kK))), want(got);
      for (const Parameter* w : {&packed, &plain}) {
        float* to = w == &packed ? got.data() : want.data();
        if (forward) products->forward({x.data(), kK, kT, kK}, *w, nullptr, {to, kN, kT, kN}, Write::store);
        else products->input_gradient({dy.data(), kN, kT, kN}, *w, {to, kK, kT, kK}, Write::store);
      }
      EXPECT_EQ(got, want) << name << (forward ? " forward" : " backward");
    }
    std::vector<double> squares(kN), plain_squares(kN);
    products->row_squares(packed, squares);
    products->row_squares(plain, plain_squares);
    EXPECT_EQ(squares, plain_squares);
  }
}

}  // namespace
}  // namespace kinglet::train
