// Optimizers against closed forms: under a constant gradient each of them has one.
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "host/threads.h"
#include "train/block_code.h"

namespace kinglet::train {
namespace {

/// Tensors with memory of their own: a matrix, a vector and one that takes several pieces.
struct Tensors {
  std::vector<std::vector<float>> values, gradients;
  std::vector<TrainedTensor> trained;

  explicit Tensors(const std::vector<Shape>& shapes, double weight_decay = 0) {
    for (const Shape& s : shapes) {
      values.emplace_back(static_cast<size_t>(*s.count()));
      gradients.emplace_back(static_cast<size_t>(*s.count()));
    }
    for (size_t i = 0; i < shapes.size(); ++i) {
      trained.push_back({.name = "t" + std::to_string(i),
                         .shape = shapes[i],
                         .values = values[i],
                         .gradient = gradients[i],
                         .weight_decay = weight_decay,
                         .hidden = shapes[i].rank == 2});
      for (size_t j = 0; j < values[i].size(); ++j) {
        values[i][j] = std::sin(static_cast<float>(j + i));
        gradients[i][j] = 0.3f * std::cos(static_cast<float>(3 * j + i));
      }
    }
  }
};
const std::vector<Shape> kShapes{{7, 300}, {11}, {3, 40000}};
constexpr OptimizerKind kKinds[] = {OptimizerKind::adamw, OptimizerKind::adamw8, OptimizerKind::lion,
                                    OptimizerKind::adafactor, OptimizerKind::muon};

std::unique_ptr<Optimizer> make(const OptimizerOptions& options, const Tensors& t) {
  auto made = make_optimizer(options, t.trained);
  EXPECT_TRUE(made.ok()) << made.status().text();
  return *std::move(made);
}

TEST(AdamW, UnderAConstantGradientEveryStepIsTheLearningRate) {
  // Both bias-corrected moments are the gradient's own: the update is g / (|g| + eps), and decay a geometric series.
  constexpr double kRate = 0.01, kDecay = 0.1;
  Tensors t(kShapes, kDecay);
  const Tensors start = t;
  const auto optimizer = make({.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-3}, t);
  constexpr int kSteps = 12;
  for (int step = 1; step <= kSteps; ++step) optimizer->step(step, kRate, 1.0f, Parallel::serial());
  for (size_t i = 0; i < kShapes.size(); ++i) {
    for (size_t j = 0; j < t.values[i].size(); ++j) {
      const double g = double{t.gradients[i][j]};
      double want = double{start.values[i][j]};
      for (int step = 0; step < kSteps; ++step) want = want * (1 - kRate * kDecay) - kRate * g / (std::abs(g) + 1e-3);
      ASSERT_NEAR(double{t.values[i][j]}, want, 4e-6) << i << " " << j;  // 12 steps of f32 rounding at 1 and at 0.01
    }
  }
}

TEST(AdamW, TwoDifferentGradientsByHand) {
  Tensors t(std::vector<Shape>{{1}});
  t.values[0][0] = 1;
  const auto optimizer = make({.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8}, t);
  t.gradients[0][0] = 2;
  optimizer->step(1, 0.1, 1.0f, Parallel::serial());
  EXPECT_NEAR(t.values[0][0], 0.9, 1e-6);
  t.gradients[0][0] = -4;  // scaled by 0.25: -1
  optimizer->step(2, 0.1, 0.25f, Parallel::serial());
  const double m = (0.9 * 0.2 - 0.1) / (1 - 0.81), v = (0.99 * 0.04 + 0.01) / (1 - 0.9801);
  EXPECT_NEAR(t.values[0][0], 0.9 - 0.1 * m / std::sqrt(v), 1e-6);
}

TEST(AdamW, RatesAndDecayAreEachTensorsOwn) {
  Tensors t(std::vector<Shape>{{4}, {4}}, 0);
  t.trained[1].rate = 16;
  t.trained[0].weight_decay = 1;
  for (auto& g : t.gradients) g.assign(4, 1.0f);
  for (auto& v : t.values) v.assign(4, 1.0f);
  make({}, t)->step(1, 0.01, 1.0f, Parallel::serial());
  EXPECT_NEAR(t.values[0][2], 1 - 0.01 - 0.01, 1e-6);
  EXPECT_NEAR(t.values[1][2], 1 - 0.16, 1e-6);
}

TEST(AdamW8, StaysByF32OnAQuadratic) {
  // Gradients of sum (x - 1)^2 / 2 with noise: both arrive, and lie within what 8 bits keep of each other on the way.
  Tensors exact(std::vector<Shape>{{16, 256}}), coded(std::vector<Shape>{{16, 256}});
  const auto a = make({.kind = OptimizerKind::adamw, .beta2 = 0.99}, exact),
             b = make({.kind = OptimizerKind::adamw8, .beta2 = 0.99}, coded);
  double worst = 0;
  for (int step = 1; step <= 300; ++step) {
    for (Tensors* t : {&exact, &coded})
      for (size_t j = 0; j < t->values[0].size(); ++j)
        t->gradients[0][j] =
            t->values[0][j] - 1 + 0.3f * std::sin(static_cast<float>(j) * 1.7f + static_cast<float>(step) * 2.3f);
    const double rate = 0.02 * (1 - step / 301.0);
    a->step(step, rate, 1.0f, Parallel::serial());
    b->step(step, rate, 1.0f, Parallel::serial());
    for (size_t j = 0; j < exact.values[0].size(); ++j)
      worst = std::max(worst, std::abs(double{exact.values[0][j]} - double{coded.values[0][j]}));
  }
  const auto error = [](const Tensors& t) {
    double sum = 0;
    for (const float v : t.values[0]) sum += (double{v} - 1) * (double{v} - 1);
    return std::sqrt(sum / static_cast<double>(t.values[0].size()));
  };
  EXPECT_LT(error(coded), 1.2 * error(exact));  // both are the noise's
  EXPECT_LT(worst, 0.1);                        // of a way of up to 2
}

TEST(BlockCode, KeepsAFewPercentOverManyOrdersOfMagnitude) {
  for (const auto sign : {BlockCode::Sign::both, BlockCode::Sign::positive}) {
    const BlockCode code(sign);
    EXPECT_EQ(code.table().back(), 1.0f);
    EXPECT_FLOAT_EQ(code.table().front(), sign == BlockCode::Sign::both ? -0.9929688f : 0.0f);
    std::vector<float> values, back(200);
    for (int i = 0; i < 200; ++i)
      values.push_back(7.0f * std::pow(10.0f, -0.02f * static_cast<float>(i)) *
                       (sign == BlockCode::Sign::both && i % 2 ? -1.0f : 1.0f));
    std::vector<uint8_t> codes(200);
    float scale = 0;
    code.encode(values, codes, scale);
    code.decode(codes, scale, back);
    EXPECT_EQ(scale, 7.0f);
    for (size_t i = 0; i < 200; ++i) {
      // A decade d below the largest value has 2^(6 - d) steps for each sign: half a step is its error, and half of 0.9 / 64 of
      // the decade's top for the two tables' last one.
      const double decade = std::floor(0.02 * static_cast<double>(i) + 1e-9);
      const double steps = std::pow(2.0, 6 - decade) * (sign == BlockCode::Sign::both ? 1 : 2);
      const double top = 7 * std::pow(10.0, -decade);
      ASSERT_NEAR(back[i], values[i], 0.5 * 0.9 / steps * top * 2.1) << i;
    }
  }
  const BlockCode positive(BlockCode::Sign::positive);
  std::vector<uint8_t> codes(2);
  float scale = 0;
  positive.encode(std::vector<float>{1.0f, 1e-20f}, codes, scale);
  EXPECT_EQ(codes[1], 1);  // not 0: it will divide something
  positive.encode(std::vector<float>{0.0f, 0.0f}, codes, scale);
  EXPECT_EQ(scale, 0.0f);
  EXPECT_EQ(codes[0], 0);
}

TEST(Lion, EveryStepIsTheSignOfTheGradient) {
  Tensors t(kShapes, 0.5);
  const Tensors start = t;
  const auto optimizer = make({.kind = OptimizerKind::lion, .beta1 = 0.9, .beta2 = 0.99}, t);
  for (int step = 1; step <= 5; ++step) optimizer->step(step, 0.01, 0.5f, Parallel::serial());
  for (size_t j = 0; j < t.values[0].size(); ++j) {
    double want = double{start.values[0][j]};
    for (int step = 0; step < 5; ++step) want = want * (1 - 0.005) - 0.01 * (t.gradients[0][j] > 0 ? 1 : -1);
    ASSERT_NEAR(double{t.values[0][j]}, want, 1e-6);
  }
}

TEST(Adafactor, IsExactWhereTheSquaresAreAProduct) {
  // g_rc = a_r b_c: rows and columns factor exactly, every update is the sign, and its root mean square is 1.
  Tensors t(std::vector<Shape>{{6, 50}, {9}});
  for (size_t r = 0; r < 6; ++r)
    for (size_t c = 0; c < 50; ++c)
      t.gradients[0][r * 50 + c] = (static_cast<float>(r) + 0.5f) * std::sin(static_cast<float>(c) + 0.2f);
  const Tensors start = t;
  const auto optimizer = make({.kind = OptimizerKind::adafactor}, t);
  for (int step = 1; step <= 4; ++step) optimizer->step(step, 0.01, 1.0f, Parallel::serial());
  for (size_t i : {0u, 1u})
    for (size_t j = 0; j < t.values[i].size(); ++j)
      ASSERT_NEAR(double{t.values[i][j]}, double{start.values[i][j]} - 0.04 * (t.gradients[i][j] > 0 ? 1 : -1), 1e-5)
          << i << " " << j;
}

/// A matrix in doubles, for what Muon does written plainly.
struct Doubles {
  size_t rows, columns;
  std::vector<double> values;

  double& at(size_t r, size_t c) { return values[r * columns + c]; }
  double at(size_t r, size_t c) const { return values[r * columns + c]; }
  Doubles transposed() const {
    Doubles out{columns, rows, std::vector<double>(values.size())};
    for (size_t r = 0; r < rows; ++r)
      for (size_t c = 0; c < columns; ++c) out.at(c, r) = at(r, c);
    return out;
  }
  Doubles times(const Doubles& other) const {
    Doubles out{rows, other.columns, std::vector<double>(rows * other.columns)};
    for (size_t r = 0; r < rows; ++r)
      for (size_t k = 0; k < columns; ++k)
        for (size_t c = 0; c < other.columns; ++c) out.at(r, c) += at(r, k) * other.at(k, c);
    return out;
  }
  double norm() const {
    double sum = 0;
    for (const double v : values) sum += v * v;
    return std::sqrt(sum);
  }
};

Doubles shaped(const Shape& shape, std::span<const float> values) {
  return {static_cast<size_t>(shape.rows()), static_cast<size_t>(shape.inner()), {values.begin(), values.end()}};
}

/// Largest first, by rotations that make rows orthogonal (Jacobi): the rows' lengths then.
std::vector<double> singular_values(Doubles m) {
  if (m.rows > m.columns) m = m.transposed();
  const auto inner = [&](size_t a, size_t b) {
    double sum = 0;
    for (size_t c = 0; c < m.columns; ++c) sum += m.at(a, c) * m.at(b, c);
    return sum;
  };
  for (int sweep = 0; sweep < 12; ++sweep)
    for (size_t a = 0; a < m.rows; ++a)
      for (size_t b = a + 1; b < m.rows; ++b) {
        const double angle = 0.5 * std::atan2(2 * inner(a, b), inner(a, a) - inner(b, b));
        for (size_t c = 0; c < m.columns; ++c) {
          const double x = m.at(a, c), y = m.at(b, c);
          m.at(a, c) = std::cos(angle) * x + std::sin(angle) * y;
          m.at(b, c) = std::cos(angle) * y - std::sin(angle) * x;
        }
      }
  std::vector<double> out;
  for (size_t a = 0; a < m.rows; ++a) out.push_back(std::sqrt(inner(a, a)));
  std::sort(out.rbegin(), out.rend());
  return out;
}

const std::vector<Shape> kMatrices{{1, 5}, {33, 33}, {20, 71}, {65, 34}, {300, 17}};

/// Gradients without a pattern: every singular value is well away from 0 in matrices that are not square.
void scatter(Tensors& t, uint32_t seed) {
  for (auto& gradient : t.gradients)
    for (float& g : gradient) {
      seed = seed * 1664525 + 1013904223;
      g = static_cast<float>(seed >> 8) * 0x1p-23f - 1;
    }
}

TEST(Muon, AnUpdateHasTheSingularValuesThatTheQuinticMakes) {
  for (const Compute compute : {Compute::f32, Compute::bf16}) {
    Tensors t(kMatrices);
    scatter(t, 1);
    const Tensors start = t;
    make({.kind = OptimizerKind::muon, .compute = compute}, t)->step(1, 1, 1.0f, Parallel::serial());
    for (size_t i = 0; i < kMatrices.size(); ++i) {
      Doubles update = shaped(kMatrices[i], start.values[i]);
      const double size = 0.2 * std::sqrt(static_cast<double>(std::max(update.rows, update.columns)));
      for (size_t j = 0; j < update.values.size(); ++j)
        update.values[j] = (update.values[j] - double{t.values[i][j]}) / size;
      const Doubles gradient = shaped(kMatrices[i], start.gradients[i]);
      std::vector<double> want = singular_values(gradient);
      for (double& s : want) {
        s /= gradient.norm();
        for (int step = 0; step < 5; ++step) s = 3.4445 * s - 4.7750 * std::pow(s, 3) + 2.0315 * std::pow(s, 5);
      }
      std::sort(want.rbegin(), want.rend());
      const std::vector<double> got = singular_values(update);
      for (size_t j = 0; j < want.size(); ++j) {
        // bf16 keeps 8 bits; a singular value's slope along the iterations is below 3.5, that of those near 1 below 2.
        EXPECT_NEAR(got[j], want[j], compute == Compute::f32 ? 1e-4 : 0.1) << i << " " << j;
        if (kMatrices[i][0] != kMatrices[i][1]) {  // a square one may have a singular value near 0
          EXPECT_GT(got[j], 0.6) << i;
          EXPECT_LT(got[j], 1.3) << i;
        }
      }
    }
  }
}

/// One step of Muon of a matrix, as Jordan's and Liu's papers have it.
void muon_step(Doubles& values, Doubles& momentum, const Doubles& gradient, double rate, double decay) {
  Doubles x = gradient;
  for (size_t j = 0; j < x.values.size(); ++j) {
    momentum.values[j] = 0.95 * momentum.values[j] + gradient.values[j];
    x.values[j] += 0.95 * momentum.values[j];
  }
  const bool tall = x.rows > x.columns;
  if (tall) x = x.transposed();
  const double norm = x.norm();
  for (double& v : x.values) v /= norm;
  for (int step = 0; step < 5; ++step) {
    const Doubles gram = x.times(x.transposed()), once = gram.times(x), twice = gram.times(once);
    for (size_t j = 0; j < x.values.size(); ++j)
      x.values[j] = 3.4445 * x.values[j] - 4.7750 * once.values[j] + 2.0315 * twice.values[j];
  }
  if (tall) x = x.transposed();
  const double size = 0.2 * std::sqrt(static_cast<double>(std::max(x.rows, x.columns)));
  for (size_t j = 0; j < x.values.size(); ++j)
    values.values[j] = values.values[j] * (1 - rate * decay) - rate * size * x.values[j];
}

TEST(Muon, IsThePapersInDoubles) {
  constexpr double kRate = 0.01, kDecay = 0.5;
  Tensors t(kMatrices, kDecay);
  t.trained[2].rate = 2;
  std::vector<Doubles> values, momentum;
  for (size_t i = 0; i < kMatrices.size(); ++i) {
    values.push_back(shaped(kMatrices[i], t.values[i]));
    momentum.push_back(values.back());
    std::fill(momentum.back().values.begin(), momentum.back().values.end(), 0.0);
  }
  const auto optimizer = make({.kind = OptimizerKind::muon}, t);
  for (int step = 1; step <= 4; ++step) {
    scatter(t, static_cast<uint32_t>(step));
    for (size_t i = 0; i < kMatrices.size(); ++i)
      muon_step(values[i], momentum[i], shaped(kMatrices[i], t.gradients[i]), kRate * t.trained[i].rate, kDecay);
    optimizer->step(step, kRate, 0.5f, Parallel::serial());  // what scales a gradient changes no update
  }
  for (size_t i = 0; i < kMatrices.size(); ++i)
    for (size_t j = 0; j < t.values[i].size();
         ++j)  // values near 1, updates near 0.002: f32 rounds both, a few times over
      ASSERT_NEAR(double{t.values[i][j]}, values[i].values[j], 4e-6) << i << " " << j;
}

TEST(Muon, GivesTheRestToAdamW) {
  Tensors t(kShapes, 0.1), plain(kShapes, 0.1);
  for (Tensors* all : {&t, &plain}) all->trained[0].hidden = false;  // as an embedding
  const auto muon = make({.kind = OptimizerKind::muon}, t), adamw = make({}, plain);
  for (int step = 1; step <= 3; ++step)
    for (const auto* optimizer : {&muon, &adamw}) (*optimizer)->step(step, 0.01, 0.5f, Parallel::serial());
  EXPECT_EQ(t.values[0], plain.values[0]);
  EXPECT_EQ(t.values[1], plain.values[1]);
  EXPECT_NE(t.values[2], plain.values[2]);
}

TEST(Muon, AGradientOfZerosChangesNothing) {
  Tensors t(kMatrices);
  for (auto& g : t.gradients) std::fill(g.begin(), g.end(), 0.0f);
  const Tensors start = t;
  make({.kind = OptimizerKind::muon}, t)->step(1, 0.1, 1.0f, Parallel::serial());
  EXPECT_EQ(t.values, start.values);
}

TEST(Optimizer, ThreadsDoNotChangeABit) {
  for (const OptimizerKind kind : kKinds) {
    Tensors one(kShapes, 0.1);
    const auto alone = make({.kind = kind}, one);
    const double norm = gradient_norm(one.trained, Parallel::serial());
    for (int step = 1; step <= 3; ++step) alone->step(step, 0.01, 0.5f, Parallel::serial());
    for (const int threads : {2, 3, 5}) {
      ThreadPool pool(threads);
      Tensors many(kShapes, 0.1);
      const auto shared = make({.kind = kind, .parallel = pool.parallel()}, many);
      EXPECT_EQ(gradient_norm(many.trained, pool.parallel()), norm);
      for (int step = 1; step <= 3; ++step) shared->step(step, 0.01, 0.5f, pool.parallel());
      EXPECT_EQ(many.values, one.values) << name(kind) << " " << threads;
    }
  }
}

TEST(Optimizer, StateGoesOnWhereItStopped) {
  for (const OptimizerKind kind : kKinds) {
    Tensors whole(kShapes, 0.1);
    const auto through = make({.kind = kind}, whole);
    for (int step = 1; step <= 4; ++step) through->step(step, 0.01, 1.0f, Parallel::serial());
    Tensors half(kShapes, 0.1);
    const auto first = make({.kind = kind}, half);
    for (int step = 1; step <= 2; ++step) first->step(step, 0.01, 1.0f, Parallel::serial());
    const auto second = make({.kind = kind}, half);
    const auto from = first->state(), to = second->state();
    ASSERT_EQ(from.size(), to.size());
    uint64_t bytes = 0, predicted = 0;
    for (size_t i = 0; i < from.size(); ++i) {
      EXPECT_EQ(from[i].name, to[i].name);
      EXPECT_EQ(tensor_bytes(from[i].dtype, from[i].shape), from[i].data.size());
      std::copy(from[i].data.begin(), from[i].data.end(), to[i].data.begin());
      bytes += from[i].data.size();
    }
    for (const TrainedTensor& t : half.trained) predicted += optimizer_state_bytes(kind, t.shape, t.hidden);
    EXPECT_EQ(bytes, predicted) << name(kind);
    for (int step = 3; step <= 4; ++step) second->step(step, 0.01, 1.0f, Parallel::serial());
    EXPECT_EQ(half.values, whole.values) << name(kind);
    EXPECT_EQ(optimizer_from_name(name(kind)), kind);
  }
}

TEST(Optimizer, RefusesWhatIsNoBeta) {
  EXPECT_FALSE(make_optimizer({.beta1 = 1}, {}).ok());
  EXPECT_FALSE(make_optimizer({.beta2 = -0.1}, {}).ok());
  EXPECT_FALSE(make_optimizer({.eps = 0}, {}).ok());
}

TEST(GradientNorm, IsTheNormAndClipsAsTorchDoes) {
  Tensors t(std::vector<Shape>{{3}, {1}});
  t.gradients[0] = {1, 2, 2};
  t.gradients[1] = {4};
  EXPECT_EQ(gradient_norm(t.trained, Parallel::serial()), 5);
  EXPECT_EQ(clip_factor(5, 0), 1.0f);
  EXPECT_EQ(clip_factor(5, 6), 1.0f);
  EXPECT_EQ(clip_factor(5, 1), static_cast<float>(1 / (5 + 1e-6)));
}

}  // namespace
}  // namespace kinglet::train
