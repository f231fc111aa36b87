// The C interface against the tiny models: what it computes, and what it says where something is off.
#include <gtest/gtest.h>
#include <kinglet/kinglet.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "api/testing.h"
#include "formats/safetensors.h"

namespace {

struct Close {
  void operator()(kinglet_model* model) const { kinglet_model_close(model); }
};
using ModelHandle = std::unique_ptr<kinglet_model, Close>;

ModelHandle open_fixture() {
  kinglet_model* model = nullptr;
  kinglet_error error{};
  EXPECT_EQ(kinglet_model_open(kFixture.c_str(), nullptr, &model, &error), KINGLET_OK) << error.text;
  return ModelHandle(model);
}

#define NEEDS_FIXTURE() \
  if (!std::filesystem::exists(kFixture)) GTEST_SKIP() << "shared fixtures are absent: " << kFixture

TEST(CApi, SaysItsVersion) {
  EXPECT_EQ(std::count(kinglet_version(), kinglet_version() + std::strlen(kinglet_version()), '.'), 2);
}

TEST(CApi, AMissingModelIsAnErrorWithItsName) {
  kinglet_model* model = nullptr;
  kinglet_error error{};
  EXPECT_EQ(kinglet_model_open("./no-such-model.gguf", nullptr, &model, &error), KINGLET_NOT_FOUND);
  EXPECT_EQ(error.code, KINGLET_NOT_FOUND);
  EXPECT_NE(std::strstr(error.text, "no-such-model"), nullptr) << error.text;
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(kinglet_model_open(nullptr, nullptr, &model, nullptr), KINGLET_INVALID_ARGUMENT);
}

TEST(CApi, OptionsMustBeInitialized) {
  kinglet_model* model = nullptr;
  kinglet_model_options options{};
  EXPECT_EQ(kinglet_model_open("x", &options, &model, nullptr), KINGLET_INVALID_ARGUMENT);
}

TEST(CApi, AnOlderCallersShorterOptionsAreRead) {
  NEEDS_FIXTURE();
  // A caller that knows no more than the size and the threads; what lies behind is not its own.
  kinglet_model_options options;
  std::memset(&options, 0xff, sizeof(options));
  kinglet_model_options_init_sized(&options, offsetof(kinglet_model_options, reference));
  EXPECT_EQ(options.threads, 0);
  EXPECT_EQ(options.memory_bytes, UINT64_MAX);
  options.memory_bytes = 1;  // would be refused, were it read
  kinglet_model* model = nullptr;
  EXPECT_EQ(kinglet_model_open(kFixture.c_str(), &options, &model, nullptr), KINGLET_OK);
  kinglet_model_close(model);
}

TEST(CApi, MemoryIsHeld) {
  NEEDS_FIXTURE();
  kinglet_model_options options;
  kinglet_model_options_init(&options);
  options.memory_bytes = 1000;
  kinglet_model* model = nullptr;
  kinglet_error error{};
  EXPECT_EQ(kinglet_model_open(kFixture.c_str(), &options, &model, &error), KINGLET_RESOURCE_EXHAUSTED) << error.text;
}

TEST(CApi, LogitsAreThoseOfTheReference) {
  NEEDS_FIXTURE();
  const auto model = open_fixture();
  ASSERT_NE(model, nullptr);
  const auto golden = kinglet::safetensors::File::open(kFixture + "/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.status().text();
  const auto* ids = golden->find("input_ids");
  const auto* expected = golden->find("logits");
  const auto T = static_cast<size_t>(ids->shape[1]);
  const auto V = static_cast<size_t>(kinglet_model_vocab_size(model.get()));
  std::vector<kinglet_token> tokens(T);
  for (size_t i = 0; i < T; ++i) {
    int64_t id = 0;
    std::memcpy(&id, ids->data.data() + i * sizeof(id), sizeof(id));
    tokens[i] = static_cast<kinglet_token>(id);
  }
  std::vector<float> logits(T * V);
  kinglet_error error{};
  ASSERT_EQ(kinglet_logits(model.get(), tokens.data(), T, logits.data(), logits.size(), &error), KINGLET_OK)
      << error.text;
  float worst = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    float want = 0;
    std::memcpy(&want, expected->data.data() + i * sizeof(want), sizeof(want));
    worst = std::max(worst, std::abs(logits[i] - want));
  }
  EXPECT_LE(worst, 2e-4F);
  EXPECT_EQ(kinglet_logits(model.get(), tokens.data(), T, logits.data(), logits.size() - 1, &error),
            KINGLET_OUT_OF_RANGE);
  tokens[3] = static_cast<kinglet_token>(V);
  EXPECT_EQ(kinglet_logits(model.get(), tokens.data(), T, logits.data(), logits.size(), &error), KINGLET_OUT_OF_RANGE);
}

TEST(CApi, AModelWithoutAVocabularySaysSo) {
  NEEDS_FIXTURE();
  const auto model = open_fixture();
  ASSERT_NE(model, nullptr);
  EXPECT_STREQ(kinglet_model_architecture(model.get()), "qwen2");
  EXPECT_EQ(kinglet_model_has_tokenizer(model.get()), 0);
  size_t count = 7;
  kinglet_error error{};
  EXPECT_NE(kinglet_tokenize(model.get(), "x", 1, 0, nullptr, 0, &count, &error), KINGLET_OK);
  EXPECT_NE(error.text[0], '\0');
  EXPECT_EQ(count, 7U);
}

}  // namespace
