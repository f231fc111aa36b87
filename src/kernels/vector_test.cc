// Norms, rope, activations and elementwise kernels of every row against formulas in double precision.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing.h"

namespace kinglet {
namespace {

constexpr float kUlp = 0x1p-23f;

class VectorKernels : public testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& table() const { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Rows, VectorKernels, testing::ValuesIn(available_rows()),
                         [](const auto& row) { return std::string(row.param->name); });

const int64_t kLengths[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 896, 1031};

TEST_P(VectorKernels, RmsNorm) {
  for (const int64_t n : kLengths) {
    for (const bool weighted : {false, true}) {
      const auto x = normal_values(n, 1, 3.0f), w = normal_values(n, 2);
      std::vector<float> out(x);
      table().rms_norm(out.data(), weighted ? w.data() : nullptr, 1e-6f, n, out.data());  // in place
      double squares = 0;
      for (const float v : x) squares += static_cast<double>(v) * v;
      for (size_t i = 0; i < x.size(); ++i) {
        const double want = x[i] / std::sqrt(squares / static_cast<double>(n) + 1e-6) * (weighted ? w[i] : 1.0);
        // Squares are positive: their sum's relative error stays near a few ulp whatever the order.
        EXPECT_NEAR(out[i], want, std::fabs(want) * 8 * kUlp) << "n " << n << " i " << i;
      }
    }
  }
}

TEST_P(VectorKernels, LayerNorm) {
  for (const int64_t n : kLengths) {
    for (const bool weighted : {false, true}) {
      auto x = normal_values(n, 3, 2.0f);
      for (float& v : x) v += 5.0f;
      const auto w = normal_values(n, 4), b = normal_values(n, 5);
      std::vector<float> out(x);
      table().layer_norm(out.data(), weighted ? w.data() : nullptr, weighted ? b.data() : nullptr, 1e-5f, n,
                         out.data());
      double mean = 0, var = 0;
      for (const float v : x) mean += v / static_cast<double>(n);
      for (const float v : x) var += (v - mean) * (v - mean) / static_cast<double>(n);
      const double factor = 1 / std::sqrt(var + 1e-5);
      for (size_t i = 0; i < x.size(); ++i) {
        const double want = (x[i] - mean) * factor * (weighted ? w[i] : 1.0) + (weighted ? b[i] : 0.0);
        // The mean carries a few ulp of 5.0, enlarged by the factor; at n = 1 the factor is 316.
        const double bound = 32 * kUlp * (5 * factor * (weighted ? std::fabs(w[i]) : 1.0) + std::fabs(want) + 1);
        EXPECT_NEAR(out[i], want, bound) << "n " << n << " i " << i;
      }
    }
  }
}

TEST_P(VectorKernels, Rope) {
  struct Case {
    int64_t heads, D, rotary;
  };
  for (const Case c : {Case{1, 8, 8},
                       {3, 16, 16},
                       {2, 24, 24},
                       {5, 64, 64},
                       {2, 80, 32},
                       {2, 96, 96},
                       {3, 128, 96},
                       {1, 256, 256},
                       {2, 20, 20},
                       {2, 12, 6},
                       {2, 96, 72}}) {
    const auto x = normal_values(c.heads * c.D, 6), angle = normal_values(c.rotary / 2, 7, 3.0f);
    std::vector<float> cosine, sine;
    for (const float a : angle) {
      cosine.push_back(std::cos(a));
      sine.push_back(std::sin(a));
    }
    for (const bool interleaved : {false, true}) {
      std::vector<float> out(x);
      (interleaved ? table().rope_interleaved : table().rope_half)(out.data(), c.heads, c.D, c.rotary, cosine.data(),
                                                                   sine.data());
      std::vector<double> want(x.begin(), x.end());
      for (int64_t h = 0; h < c.heads; ++h)
        for (int64_t i = 0; i < c.rotary / 2; ++i) {
          const auto pair = static_cast<size_t>(i);
          const auto a = static_cast<size_t>(h * c.D + (interleaved ? 2 * i : i));
          const auto b = static_cast<size_t>(h * c.D + (interleaved ? 2 * i + 1 : i + c.rotary / 2));
          want[a] = static_cast<double>(x[a]) * cosine[pair] - static_cast<double>(x[b]) * sine[pair];
          want[b] = static_cast<double>(x[a]) * sine[pair] + static_cast<double>(x[b]) * cosine[pair];
        }
      for (size_t i = 0; i < x.size(); ++i)
        EXPECT_NEAR(out[i], want[i], 8 * kUlp) << "D " << c.D << " rotary " << c.rotary << " i " << i;
    }
  }
}

/// Values that cover the range: dense near zero, the far ends, and what saturates.
std::vector<float> covering_values() {
  std::vector<float> v = {0.0f, -0.0f, 1e-30f, -1e-30f, 1e-6f, -1e-6f, 88.0f, -88.0f, 104.0f, -104.0f, 1e4f, -1e4f};
  for (int i = -12000; i <= 12000; ++i) v.push_back(static_cast<float>(i) * 0.001f);
  for (int i = -1000; i <= 1000; ++i) v.push_back(static_cast<float>(i) * 0.0931f);
  return v;
}

using GatedKernel = void (*)(const float*, const float*, int64_t, float*);

void check_gated(GatedKernel kernel, const std::function<double(double)>& act, double absolute) {
  const auto gate = covering_values();
  const auto n = static_cast<int64_t>(gate.size());
  const auto up = normal_values(n, 8, 2.0f);
  std::vector<float> out(gate.size());
  kernel(gate.data(), up.data(), n, out.data());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double want = act(gate[i]) * up[i];
    EXPECT_NEAR(out[i], want, 8 * kUlp * std::fabs(want) + absolute * std::fabs(up[i])) << "gate " << gate[i];
  }
  for (const int64_t m : kLengths) {  // every tail, in place, and nothing after it
    std::vector<float> in_place(gate.begin() + 9000, gate.begin() + 9000 + m + 1);
    const float after = in_place.back();
    kernel(in_place.data(), up.data(), m, in_place.data());
    for (int64_t i = 0; i < m; ++i) {
      const auto at = static_cast<size_t>(i);
      const double want = act(gate[9000 + at]) * up[at];
      EXPECT_NEAR(in_place[at], want, 8 * kUlp * std::fabs(want) + absolute * std::fabs(up[at]));
    }
    EXPECT_EQ(in_place.back(), after);
  }
}

TEST_P(VectorKernels, SiluMul) {
  // Below -88 the exponential overflows and the answer is zero.
  check_gated(
      table().silu_mul, [](double g) { return g / (1 + std::exp(-g)); }, 1e-35);
}

// 1 + tanh cancels where gate is far below zero: an ulp of 1 stays, times half the gate (at most about 5 there).
TEST_P(VectorKernels, GeluTanhMul) {
  check_gated(
      table().gelu_tanh_mul,
      [](double g) { return 0.5 * g * (1 + std::tanh(0.797884560802865356 * (g + 0.044715 * g * g * g))); }, 5 * kUlp);
}

TEST_P(VectorKernels, GeluMul) {
  check_gated(
      table().gelu_mul, [](double g) { return 0.5 * g * std::erfc(-g * 0.707106781186547524); }, 5 * kUlp);
}

TEST_P(VectorKernels, Softcap) {
  const auto x = covering_values();
  for (const float cap : {1.0f, 30.0f, 50.0f}) {
    std::vector<float> out(x.size());
    table().softcap(x.data(), cap, static_cast<int64_t>(x.size()), out.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = cap * std::tanh(static_cast<double>(x[i]) / cap);
      EXPECT_NEAR(out[i], want, 8 * kUlp * std::fabs(want)) << "x " << x[i] << " cap " << cap;
    }
  }
}

TEST_P(VectorKernels, Gain) {
  for (const int64_t n : kLengths) {
    const auto x = normal_values(n, 9), weight = normal_values(n, 10), bias = normal_values(n, 11);
    std::vector<float> out(x.size() + 1, 77.0f), in_place = x;
    table().gain(x.data(), weight.data(), bias.data(), n, out.data());
    table().gain(in_place.data(), weight.data(), nullptr, n, in_place.data());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(out[i], x[i] * weight[i] + bias[i]);
      EXPECT_EQ(in_place[i], x[i] * weight[i]);
    }
    EXPECT_EQ(out.back(), 77.0f);
  }
}

TEST_P(VectorKernels, AddAndScale) {
  for (const int64_t n : kLengths) {
    const auto a = normal_values(n, 9), b = normal_values(n, 10);
    std::vector<float> sum(a.size() + 1, 77.0f), scaled(a.size() + 1, 77.0f);
    table().add(a.data(), b.data(), n, sum.data());
    table().scale(a.data(), 0.3f, n, scaled.data());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(sum[i], a[i] + b[i]);
      EXPECT_EQ(scaled[i], a[i] * 0.3f);
    }
    EXPECT_EQ(sum.back(), 77.0f);
    EXPECT_EQ(scaled.back(), 77.0f);
  }
}

}  // namespace
}  // namespace kinglet
