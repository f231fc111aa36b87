// What a run is said to need against what it then takes.
#include "train/needs.h"

#include <gtest/gtest.h>

#include "arch/model_spec.h"
#include "train/lora.h"
#include "train/product.h"
#include "train/testing_models.h"

namespace kinglet::train {
namespace {

Batch one_sequence(int32_t length) {
  Sample sample;
  for (int32_t t = 0; t < length; ++t) sample.ids.push_back(t * 7 % 500);
  sample.labels = sample.ids;
  return make_batch(std::vector<Sample>{sample});
}

class Needs : public testing::TestWithParam<Checkpointing> {};

TEST_P(Needs, AreWhatABatchThenTakes) {
  const auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  ASSERT_TRUE(spec.ok());
  const Batch batch = one_sequence(60);
  Ledger ledger;
  auto parameters = Parameters::random(spec->program, 1, ledger);
  ASSERT_TRUE(parameters.ok());
  const GraphOptions options{.checkpointing = GetParam(), .dropout = 0.1};
  const auto needs = walk_needs(spec->program, {}, options, {60, unmasked(batch), 60});
  ASSERT_TRUE(needs.ok()) << needs.status().text();
  auto graph = Graph::create(spec->program, *parameters, options, ledger);
  ASSERT_TRUE(graph.ok());
  ASSERT_TRUE(graph->backward(batch, 1).ok());
  EXPECT_EQ(ledger.used(MemoryUse::activations), needs->bytes);

  const auto held = parameter_needs(spec->program, {}, OptimizerKind::adamw, {});
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(held->trained, parameters->trained_values());
  EXPECT_EQ(held->parameters, held->trained);
  EXPECT_NEAR(static_cast<double>(ledger.used(MemoryUse::weights)), static_cast<double>(held->weights), 8192);
}

TEST(ParameterNeeds, OfMuonAreAMomentumForALayersMatrixAndRoomForTheLargest) {
  const auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  ASSERT_TRUE(spec.ok());
  const auto adamw = parameter_needs(spec->program, {}, OptimizerKind::adamw, {}),
             muon = parameter_needs(spec->program, {}, OptimizerKind::muon, {});
  ASSERT_TRUE(adamw.ok() && muon.ok());
  Ledger ledger;
  const KernelTable& kernels = *find_kernels("");
  const auto products = Products::create(kernels, gradient_kernels(kernels), Parallel::serial(), ledger);
  ASSERT_TRUE(products.ok());
  constexpr uint64_t kLayers = 2 * (64 * 64 * 2 + 2 * 64 * 32 + 3 * 64 * 160), kLargest = 64 * 160, kGram = 64 * 64;
  EXPECT_EQ(muon->optimizer, adamw->optimizer - 4 * kLayers + 4 * 2 * (kLargest + kGram) + products->bytes());
  EXPECT_EQ(adamw->optimizer_work, 0);
  // Gram matrix, its square and the product with it; the narrow side is 64, or 32 of keys and values.
  constexpr double kSquares = 4 * 3 * 64 * 64 * 64, kKeys = 4 * (2 * 64 * 32 * 32 + 32 * 32 * 32),
                   kFeedForward = 6 * (2 * 64 * 160 * 64 + 64 * 64 * 64);
  EXPECT_EQ(muon->optimizer_work, 5 * (kSquares + kKeys + kFeedForward));
}

// Every weight is multiplied once forward and twice backward, and once more where its layer is computed twice.
TEST_P(Needs, CountEveryMultiplication) {
  const auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  ASSERT_TRUE(spec.ok());
  constexpr double kLayers = 2 * (64 * 64 * 2 + 2 * 64 * 32 + 3 * 64 * 160), kHead = 500 * 64;
  const auto needs = walk_needs(spec->program, {}, {.checkpointing = GetParam()}, {60, 30, 60});
  ASSERT_TRUE(needs.ok());
  const double once = 60 * kLayers * 3 + 30 * kHead * 3;
  EXPECT_GE(needs->work.f32, once);
  // The last layer's values are there, and nobody reads what a layer's last product makes.
  EXPECT_LE(needs->work.f32, once + (GetParam() == Checkpointing::layers ? 60 * kLayers / 2 : 0));
  EXPECT_EQ(needs->work.stored_forward, 0);
}

INSTANTIATE_TEST_SUITE_P(All, Needs,
                         testing::Values(Checkpointing::none, Checkpointing::activations, Checkpointing::layers),
                         [](const auto& p) {
                           return std::string(p.param == Checkpointing::none          ? "kept"
                                              : p.param == Checkpointing::activations ? "activations"
                                                                                      : "layers");
                         });

TEST(Needs, FrozenWeightsAreMultipliedAsStored) {
  auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  ASSERT_TRUE(spec.ok());
  auto adapter = new_adapter(*spec, {.rank = 4});
  ASSERT_TRUE(adapter.ok());
  ASSERT_TRUE(apply_adapter(spec->program, *adapter).ok());
  const ParameterOptions options{.trained = Trained::adapters, .frozen = FrozenForm::as_stored};
  const auto held = parameter_needs(spec->program, options, OptimizerKind::adamw,
                                    [](const ParamInfo&) -> Result<DType> { return DType::q8_0; });
  ASSERT_TRUE(held.ok()) << held.status().text();
  EXPECT_EQ(held->trained, adapter_values(*adapter));
  EXPECT_EQ(held->gradients, static_cast<uint64_t>(held->trained) * 4);
  EXPECT_LT(held->weights, static_cast<uint64_t>(held->parameters) * 2);
  const auto needs = walk_needs(spec->program, options, {}, {60, 60, 60});
  ASSERT_TRUE(needs.ok());
  EXPECT_GT(needs->work.stored_forward, 0);
  EXPECT_GT(needs->work.stored_backward, 0);
  EXPECT_LT(needs->work.f32, needs->work.stored_forward);
  const auto speed = measure_products(options, DType::q8_0, 60);
  ASSERT_TRUE(speed.ok());
  EXPECT_GT(seconds_of(needs->work, *speed), 0);
}

// LoRA+ (Hayou et al. 2024): B learns faster than A.
TEST(TrainedTensors, OfAdaptersHaveTheirOwnRates) {
  auto spec = read_model_spec(Checkpoint::of(tiny_qwen()));
  ASSERT_TRUE(spec.ok());
  const auto adapter = new_adapter(*spec, {.rank = 4});
  ASSERT_TRUE(adapter.ok() && apply_adapter(spec->program, *adapter).ok());
  Ledger ledger;
  auto parameters = Parameters::random(spec->program, 1, ledger);
  ASSERT_TRUE(parameters.ok());
  int64_t faster = 0;
  for (const TrainedTensor& t : trained_tensors(*parameters, {.lora_plus_ratio = 16})) faster += t.rate == 16;
  EXPECT_EQ(faster, static_cast<int64_t>(adapter->pairs.size()));
}

}  // namespace
}  // namespace kinglet::train
