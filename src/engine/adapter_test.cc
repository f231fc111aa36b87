// LoRA adapters as PEFT writes them, against what PEFT computes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "engine/runner.h"

namespace kinglet {
namespace {

const std::string kModels = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/";

double worst_difference(float weight, const std::string& golden_name) {
  Ledger ledger;
  auto golden = safetensors::File::open(kModels + golden_name + "/golden.safetensors");
  EXPECT_TRUE(golden.ok()) << golden.status().text();
  auto model = Model::load(kModels + "llama-3.2", {.adapters = {{kModels + "lora-llama-3.2", weight}}}, ledger);
  EXPECT_TRUE(model.ok()) << model.status().text();
  if (!golden.ok() || !model.ok()) return INFINITY;
  auto runner = Runner::create(**model, {.threads = 2, .batch_tokens = 64, .outputs = 64});
  const auto* ids = golden->find("input_ids");
  const auto* logits = golden->find("logits");
  double worst = 0;
  for (int64_t row = 0; row < 2; ++row) {
    std::vector<TokenId> tokens;
    for (int64_t i = 0; i < ids->shape[1]; ++i) {
      int64_t id = 0;
      std::memcpy(&id, ids->data.data() + (row * ids->shape[1] + i) * 8, 8);
      tokens.push_back(static_cast<TokenId>(id));
    }
    KvSequence kv = (*runner)->new_sequence();
    const BatchPart part{&kv, tokens, Outputs::all, false};
    EXPECT_TRUE((*runner)->run({&part, 1}).ok());
    const auto* want = reinterpret_cast<const float*>(logits->data.data()) + row * logits->shape[1] * logits->shape[2];
    for (int64_t t = 0; t < logits->shape[1]; ++t)
      for (int64_t v = 0; v < logits->shape[2]; ++v)
        worst = std::max(worst, std::abs(double{(*runner)->logits(t)[static_cast<size_t>(v)]} -
                                         double{want[t * logits->shape[2] + v]}));
  }
  return worst;
}

TEST(Adapter, LogitsArePefts) {
  if (!std::filesystem::exists(kModels)) GTEST_SKIP() << "shared fixtures are absent: " << kModels;
  EXPECT_LE(worst_difference(1.0f, "lora-llama-3.2"), 2e-4);
}

TEST(Adapter, AtWeightZeroItIsTheBareModel) {
  if (!std::filesystem::exists(kModels)) GTEST_SKIP() << "shared fixtures are absent: " << kModels;
  EXPECT_LE(worst_difference(0.0f, "llama-3.2"), 2e-4);
}

// The logits of a prompt's tokens by a model that has this adapter alone, or none.
std::vector<float> alone(std::vector<AdapterChoice> adapters, std::span<const TokenId> tokens, Fusion fusion) {
  Ledger ledger;
  auto model = Model::load(kModels + "llama-3.2", {.adapters = std::move(adapters)}, ledger);
  auto runner = Runner::create(**model, {.threads = 2, .batch_tokens = 64, .outputs = 64, .fusion = fusion});
  KvSequence kv = (*runner)->new_sequence();
  const BatchPart part{&kv, tokens, Outputs::all};
  EXPECT_TRUE((*runner)->run({&part, 1}).ok());
  const auto last = (*runner)->logits(static_cast<int64_t>(tokens.size()) - 1);
  return {(*runner)->logits(0).data(), last.data() + last.size()};
}

// Sequences of one batch, each with another adapter or none: each gets the very bits that it gets alone.
TEST(Adapter, EachSequenceOfABatchHasItsOwn) {
  if (!std::filesystem::exists(kModels)) GTEST_SKIP() << "shared fixtures are absent: " << kModels;
  const std::string path = kModels + "lora-llama-3.2";
  const std::vector<AdapterChoice> choices = {{path, 1.0f}, {path, -0.5f}};
  for (const Fusion fusion : {Fusion::on, Fusion::off}) {
    Ledger ledger;
    auto model = Model::load(kModels + "llama-3.2", {.choices = choices}, ledger);
    ASSERT_TRUE(model.ok()) << model.status().text();
    auto runner = Runner::create(**model, {.threads = 2, .batch_tokens = 64, .outputs = 64, .fusion = fusion});
    ASSERT_TRUE(runner.ok()) << runner.status().text();
    const std::vector<int32_t> order = {1, kNone, 0, 0, kNone, 1};
    std::vector<std::vector<TokenId>> prompts;
    std::vector<KvSequence> kv;
    std::vector<BatchPart> parts;
    for (int i = 0; i < 6; ++i) {
      prompts.emplace_back();
      for (int t = 0; t <= i; ++t) prompts.back().push_back(10 + 7 * i + t);
      kv.push_back((*runner)->new_sequence());
    }
    for (size_t i = 0; i < 6; ++i) parts.push_back({&kv[i], prompts[i], Outputs::all, false, order[i]});
    const Status status = (*runner)->run(parts);
    ASSERT_TRUE(status.ok()) << status.text();
    int64_t row = 0;
    for (size_t i = 0; i < 6; ++i) {
      std::vector<AdapterChoice> one;
      if (order[i] != kNone) one.push_back(choices[static_cast<size_t>(order[i])]);
      const std::vector<float> wanted = alone(one, prompts[i], fusion);
      EXPECT_EQ(0, std::memcmp((*runner)->logits(row).data(), wanted.data(), wanted.size() * sizeof(float))) << i;
      row += static_cast<int64_t>(prompts[i].size());
    }
    BatchPart bad{&kv[0], prompts[0], Outputs::last, false, 2};
    EXPECT_EQ((*runner)->run({&bad, 1}).code(), Code::invalid_argument);
  }
}

TEST(Adapter, OneForAnotherModelIsRefused) {
  if (!std::filesystem::exists(kModels)) GTEST_SKIP() << "shared fixtures are absent: " << kModels;
  Ledger ledger;
  const auto model = Model::load(kModels + "qwen3", {.adapters = {{kModels + "lora-llama-3.2", 1}}}, ledger);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::invalid_argument) << model.status().text();
}

}  // namespace
}  // namespace kinglet
