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

TEST(Adapter, OneForAnotherModelIsRefused) {
  if (!std::filesystem::exists(kModels)) GTEST_SKIP() << "shared fixtures are absent: " << kModels;
  Ledger ledger;
  const auto model = Model::load(kModels + "qwen3", {.adapters = {{kModels + "lora-llama-3.2", 1}}}, ledger);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::invalid_argument) << model.status().text();
}

}  // namespace
}  // namespace kinglet
