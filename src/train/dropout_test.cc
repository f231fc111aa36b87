// Dropout's masks, and that a run's result depends on nothing but its seed and data. Gradients are in gradient_test.cc.
#include "train/dropout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "arch/model_spec.h"
#include "host/threads.h"
#include "kernels/testing.h"
#include "train/language_modeling.h"
#include "train/testing_models.h"

namespace kinglet::train {
namespace {

constexpr int64_t kColumns = 301;

std::vector<float> factors_of(const DropoutRow& row, const GradientKernels& kernels = reference_gradients()) {
  std::vector<float> out(kColumns);
  kernels.dropout_factors(row, 0, kColumns, out.data());
  return out;
}

TEST(Dropout, LeavesOutItsShareEverywhereAlike) {
  for (const double rate : {0.02, 0.1, 0.5, 0.9}) {
    const auto dropout = Dropout::create(rate);
    ASSERT_TRUE(dropout.ok());
    constexpr int64_t kRows = 400;
    int64_t left_out = 0, repeated = 0;  // as in the row before
    std::vector<int64_t> of_column(kColumns);
    std::vector<float> before;
    for (int32_t position = 0; position < kRows; ++position) {
      const std::vector<float> factors = factors_of(dropout->row(17, position % 5, position / 5));
      for (size_t c = 0; c < factors.size(); ++c) {
        EXPECT_NEAR(factors[c], factors[c] == 0 ? 0 : 1 / (1 - rate), 1e-5);
        left_out += factors[c] == 0;
        of_column[c] += factors[c] == 0;
        repeated += factors[c] == 0 && !before.empty() && before[c] == 0;
      }
      before = factors;
    }
    // Five standard deviations of a binomial distribution.
    const auto near = [](int64_t got, double n, double p) {
      EXPECT_NEAR(static_cast<double>(got), n * p, 5 * std::sqrt(n * p * (1 - p)));
    };
    near(left_out, kRows * kColumns, rate);
    near(repeated, (kRows - 1) * kColumns, rate * rate);
    for (const int64_t got : of_column) near(got, kRows, rate);
  }
}

TEST(Dropout, EveryTableAndEveryCutHasTheSameFactors) {
  const DropoutRow row = Dropout::create(0.3)->row(5, 6, 7);
  const std::vector<float> want = factors_of(row);
  for (const std::string& name : kernel_names()) {
    if (find_kernels(name.c_str()) == nullptr) continue;
    const GradientKernels& kernels = gradient_kernels(*find_kernels(name.c_str()));
    EXPECT_EQ(factors_of(row, kernels), want) << name;
    std::vector<float> part(kColumns - 37);
    kernels.dropout_factors(row, 37, kColumns - 37, part.data());
    EXPECT_TRUE(std::equal(part.begin(), part.end(), want.begin() + 37)) << name;
  }
}

TEST(Dropout, SitesAreTheEmbeddingAndEachBlocksTwoOutputs) {
  const auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  ASSERT_TRUE(spec.ok());
  const auto sites = dropout_sites(spec->program.view());
  std::map<int16_t, int> of_layer;
  for (size_t i = 0; i < sites.size(); ++i) {
    if (sites[i] == kNone) continue;
    const Step& s = spec->program.steps[i];
    EXPECT_EQ(s.op, s.layer == kNone ? Op::embed : Op::add);
    EXPECT_EQ(sites[i], s.layer == kNone ? 0 : 1);  // x + f(x)
    ++of_layer[s.layer];
  }
  EXPECT_EQ(of_layer, (std::map<int16_t, int>{{kNone, 1}, {0, 2}, {1, 2}}));
}

TEST(Dropout, SharesOutsideZeroToOneAreRefused) {
  for (const double rate : {-0.1, 1.0, 1.5, std::nan("")})
    EXPECT_EQ(Dropout::create(rate).status().code(), Code::out_of_range) << rate;
  EXPECT_FALSE(Dropout::create(0)->any());
}

// -- through a model --

Dataset texts() {
  Dataset data;
  for (int32_t i = 0; i < 5; ++i) {
    Sample s;
    for (int32_t t = 0; t < 20 + 7 * i; ++t) s.ids.push_back((31 * i + t * t) % 500);
    s.labels = s.ids;
    data.add(s, {.text = true});
  }
  return data;
}

struct Walked {
  double loss = 0, held_out = 0;
  std::vector<float> gradients;
};

/// One step of all the data.
Walked walk(const GraphOptions& options, const StepShape& shape = {}, uint64_t seed = 3) {
  const auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  Ledger ledger;
  auto parameters = Parameters::random(spec->program, 1, ledger);
  auto graph = Graph::create(spec->program, *parameters, options, ledger);
  const Dataset data = texts();
  LanguageModeling objective(passes_of(*graph), DataOrder(data, {.window = 16, .seed = seed}), shape);
  objective.hold_out(DataOrder(data, {.window = 16, .shuffle = false}));
  Walked out;
  parameters->zero_gradients(Parallel::serial());
  out.loss = objective.accumulate()->loss;
  out.held_out = **objective.evaluate();
  for (const Parameter& p : parameters->all())
    out.gradients.insert(out.gradients.end(), p.gradient.begin(), p.gradient.end());
  return out;
}

TEST(Dropout, AnyThreadsAndAnyCheckpointingGiveTheSameBits) {
  const Walked want = walk({.dropout = 0.2});
  EXPECT_GT(std::abs(want.loss - walk({}).loss), 1e-4);
  for (const Checkpointing kept : {Checkpointing::none, Checkpointing::activations, Checkpointing::layers})
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      const Walked got = walk({.parallel = pool.parallel(), .checkpointing = kept, .dropout = 0.2});
      EXPECT_EQ(got.loss, want.loss);
      EXPECT_EQ(got.gradients, want.gradients) << threads << ", " << name(kept);
    }
}

TEST(Dropout, OfNothingChangesNoBit) {
  const auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  Ledger ledger;
  auto parameters = Parameters::random(spec->program, 1, ledger);
  const Dataset data = texts();
  DataOrder order(data, {});
  DataCursor cursor;
  const auto windows = order.next(cursor, {});
  std::vector<std::vector<float>> gradients;
  std::vector<double> losses;
  for (const double rate : {0.0, 0.5})
    for (const bool noise : {false, true}) {
      auto graph = Graph::create(spec->program, *parameters, {.dropout = rate}, ledger);
      ASSERT_TRUE(graph.ok());
      parameters->zero_gradients(Parallel::serial());
      const Batch batch = noise ? order.training_batch(windows, 0) : order.batch(windows);
      losses.push_back(graph->backward(batch, 1)->sum);
      auto& all = gradients.emplace_back();
      for (const Parameter& p : parameters->all()) all.insert(all.end(), p.gradient.begin(), p.gradient.end());
    }
  EXPECT_EQ(gradients[1], gradients[0]);
  EXPECT_EQ(gradients[2], gradients[0]);  // no noise, no dropout
  EXPECT_NE(gradients[3], gradients[0]);
  EXPECT_EQ(losses[2], losses[0]);
  EXPECT_NE(losses[3], losses[0]);
}

TEST(Dropout, AStepHasItsMasksHoweverItIsCut) {
  const Walked whole = walk({.dropout = 0.2}),
               cut = walk({.dropout = 0.2}, {.batch = {.sequences = 2}, .batches = 100});
  EXPECT_NEAR(cut.loss, whole.loss, 1e-6);
  for (size_t i = 0; i < whole.gradients.size(); ++i) ASSERT_NEAR(cut.gradients[i], whole.gradients[i], 1e-5) << i;
  EXPECT_GT(std::abs(walk({.dropout = 0.2}, {}, 4).loss - whole.loss), 1e-4);  // of another seed
}

TEST(Dropout, WhatIsHeldOutIsScoredWhole) { EXPECT_EQ(walk({.dropout = 0.5}).held_out, walk({}).held_out); }

TEST(Dropout, EpochsHaveMasksOfTheirOwn) {
  const Dataset data = texts();
  DataOrder order(data, {.shuffle = false});
  const std::vector<Window> windows{{0, 0, 8}, {0, 8, 8}, {1, 0, 8}};
  std::vector<uint64_t> all;
  for (const uint64_t epoch : {0u, 1u}) {
    const Batch batch = order.training_batch(windows, epoch);
    all.insert(all.end(), batch.noise.begin(), batch.noise.end());
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
}

}  // namespace
}  // namespace kinglet::train
