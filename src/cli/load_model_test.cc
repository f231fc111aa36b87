#include "cli/load_model.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace kinglet::cli {
namespace {

const std::string kTiny = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/qwen2.5";

TEST(LoadModel, OpensADirectoryWithTheKernelsAskedFor) {
  if (!std::filesystem::exists(kTiny)) GTEST_SKIP() << "shared fixture is absent: " << kTiny;
  ModelWords words;
  words.name = kTiny;
  words.reference = true;
  const auto loaded = load_model(words, {});
  ASSERT_TRUE(loaded.ok()) << loaded.status().text();
  EXPECT_STREQ(loaded->model->kernels().name, "ref");
  EXPECT_EQ(loaded->path, kTiny);
}

TEST(LoadModel, RefusesWithOneLine) {
  ModelWords words;
  words.name = "no/such/model.gguf";
  const auto missing = load_model(words, {});
  EXPECT_EQ(missing.status().code(), Code::not_found);
  EXPECT_NE(missing.status().text().find("no/such/model.gguf"), std::string_view::npos) << missing.status().text();

  CommonOptions common;
  common.memory = "6 apples";
  EXPECT_EQ(load_model(words, common).status().code(), Code::invalid_argument);
}

TEST(LoadModel, HoldsMemoryOrRefusesWithTheBreakdown) {
  if (!std::filesystem::exists(kTiny)) GTEST_SKIP() << "shared fixture is absent: " << kTiny;
  ModelWords words;
  words.name = kTiny;
  CommonOptions common;
  common.memory = "1K";
  const auto loaded = load_model(words, common);
  ASSERT_EQ(loaded.status().code(), Code::resource_exhausted);
  EXPECT_NE(loaded.status().text().find("weights"), std::string_view::npos) << loaded.status().text();
}

TEST(LoadModel, KnowsTheTypesOfKeysAndValues) {
  ModelWords words;
  EXPECT_FALSE(runner_options(words, {})->kv_type.has_value());
  words.kv_type = "f32";
  EXPECT_EQ(runner_options(words, {})->kv_type, DType::f32);
  words.kv_type = "q4_0";
  EXPECT_EQ(runner_options(words, {}).status().code(), Code::invalid_argument);
}

}  // namespace
}  // namespace kinglet::cli
