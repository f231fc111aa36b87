// Preferences learned by a new adapter on a tiny model, by every method.
#include "train/preference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "train/lora.h"
#include "train/trainer.h"

namespace kinglet::train {
namespace {

const std::string kModel = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/llama-3.2";

/// A model with a new adapter, ready to be trained.
struct Tuned {
  Ledger ledger;
  std::optional<Checkpoint> checkpoint;
  Adapter adapter;
  ModelSpec spec;
  std::optional<Parameters> parameters;
  std::optional<Graph> graph;

  void open() {
    auto opened = Checkpoint::open(kModel);
    ASSERT_TRUE(opened.ok()) << opened.status().text();
    checkpoint.emplace(*std::move(opened));
    spec = *read_model_spec(*checkpoint);
    auto made = new_adapter(spec, {.rank = 4, .alpha = 8});
    ASSERT_TRUE(made.ok()) << made.status().text();
    adapter = *std::move(made);
    ASSERT_TRUE(apply_adapter(spec.program, adapter).ok());
    auto loaded = Parameters::load(*checkpoint, spec.program, {.trained = Trained::adapters}, ledger);
    ASSERT_TRUE(loaded.ok()) << loaded.status().text();
    parameters.emplace(*std::move(loaded));
    auto walker = Graph::create(spec.program, *parameters, {}, ledger);
    ASSERT_TRUE(walker.ok()) << walker.status().text();
    graph.emplace(*std::move(walker));
  }
};

/// Prompts of three tokens; wanted answers are low ids, others high ones.
Dataset preferences() {
  Dataset data;
  for (int32_t i = 0; i < 6; ++i) {
    for (const int32_t base : {10, 60}) {
      Sample s{{100 + i, 101 + i, 102, base + i, base + 1, base + 2}, {}};
      s.labels = s.ids;
      std::fill_n(s.labels.begin(), 3, kIgnore);
      data.add(s, {.text = false, .wanted = base == 10});
    }
  }
  return data;
}

class Preferences : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) GTEST_SKIP() << "shared fixture is absent: " << kModel;
  }
};

TEST_P(Preferences, AreLearned) {
  PreferenceOptions options{.method = *preference_method(GetParam())};
  if (options.method == PreferenceMethod::simpo) options.beta = 2;
  const Dataset data = preferences();
  Tuned tuned;
  tuned.open();
  if (HasFatalFailure()) return;
  const BatchBudget budget{.tokens = 0, .sequences = 4};
  const auto known = PreferenceData::create(
      data, options, [&](const Dataset& d) { return answer_log_probs(*tuned.graph, d, budget); });
  ASSERT_TRUE(known.ok()) << known.status().text();
  const size_t group = options.method == PreferenceMethod::kto ? 1 : 2;
  PreferenceTraining objective(*tuned.graph, *known, nullptr, {data, {.seed = 3, .group = group}}, {budget, 1},
                               options);
  const auto before = objective.score(*known);
  ASSERT_TRUE(before.ok()) << before.status().text();
  EXPECT_EQ(before->comparisons, group == 2 ? 6 : 12);
  if (needs_reference(options.method)) {
    EXPECT_NEAR(before->margin, 0, 1e-6);  // B is zero: the model is its reference
  }

  std::vector<TrainedTensor> tensors;
  for (const Parameter& p : tuned.parameters->all())
    if (p.trained()) tensors.push_back({.name = p.name, .shape = p.shape, .values = p.values, .gradient = p.gradient});
  auto trainer = Trainer::create({.schedule = {.peak = 1e-2, .total = 40}}, {}, std::move(tensors), objective);
  ASSERT_TRUE(trainer.ok()) << trainer.status().text();
  const Status run = trainer->run({});
  ASSERT_TRUE(run.ok()) << run.text();
  const auto after = objective.score(*known);
  EXPECT_LT(after->loss, before->loss);
  EXPECT_EQ(after->accuracy, 1.0);
  EXPECT_GT(after->margin, before->margin);

  ASSERT_TRUE(take_adapter(tuned.spec.program, *tuned.parameters, tuned.adapter).ok());
  EXPECT_NE(tuned.adapter.pairs[0].b[0], 0.0f);
}

INSTANTIATE_TEST_SUITE_P(Methods, Preferences, testing::Values("dpo", "ipo", "simpo", "orpo", "kto"),
                         [](const auto& param) { return param.param; });

TEST(NewAdapters, BeginAsPeftDoes) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << "shared fixture is absent: " << kModel;
  const auto checkpoint = Checkpoint::open(kModel);
  const auto spec = read_model_spec(*checkpoint);
  const auto all = new_adapter(*spec, {.rank = 3});
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->pairs.size(), static_cast<size_t>(7 * spec->hyper.L));
  for (const LoraPair& pair : all->pairs) {
    const auto K = static_cast<float>(spec->program.params[static_cast<size_t>(pair.base)].shape[1]);
    for (const float v : pair.a) EXPECT_LE(std::abs(v), 1 / std::sqrt(K));
    for (const float v : pair.b) EXPECT_EQ(v, 0);
  }
  EXPECT_EQ(new_adapter(*spec, {.rank = 3})->pairs[0].a, all->pairs[0].a);
  EXPECT_NE(new_adapter(*spec, {.rank = 3, .seed = 2})->pairs[0].a, all->pairs[0].a);
  EXPECT_EQ(new_adapter(*spec, {.targets = {"q_proj", "attn_v"}})->pairs.size(),
            static_cast<size_t>(2 * spec->hyper.L));
  EXPECT_EQ(new_adapter(*spec, {.targets = {"lm_head"}}).status().code(), Code::invalid_argument);
  EXPECT_EQ(new_adapter(*spec, {.rank = 0}).status().code(), Code::invalid_argument);
}

}  // namespace
}  // namespace kinglet::train
