// The C interface generating: a tiny model with a vocabulary of single bytes.
#include <gtest/gtest.h>
#include <kinglet/kinglet.hpp>

#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "api/testing.h"

namespace {

namespace fs = std::filesystem;
using kinglet::v1::Answer;
using kinglet::v1::Model;
using kinglet::v1::Sampling;

/// The fixture has no vocabulary; one of single bytes fits every model of 320 tokens.
class Sessions : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kFixture)) GTEST_SKIP() << "shared fixtures are absent: " << kFixture;
    folder_ = fs::temp_directory_path() / ("kinglet_session_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    for (const char* name : {"config.json", "model.safetensors"}) fs::copy(fs::path(kFixture) / name, folder_ / name);
    for (const auto& entry : fs::directory_iterator(KINGLET_TEST_DATA "/byte_tokenizer")) {
      fs::copy(entry.path(), folder_ / entry.path().filename());
    }
    auto model = Model::open(folder_.string());
    ASSERT_TRUE(model.ok()) << model.error().text;
    model_.emplace(*std::move(model));
  }
  void TearDown() override { fs::remove_all(folder_); }

  static Sampling greedy(int tokens) { return Sampling().temperature(0).max_tokens(tokens); }

  fs::path folder_;
  std::optional<Model> model_;
};

TEST_F(Sessions, TokensAndTextGoBothWays) {
  const auto tokens = model_->tokenize("Hi <|im_end|>");
  ASSERT_TRUE(tokens.ok()) << tokens.error().text;
  EXPECT_EQ(tokens->size(), 13U);  // a special token in a text is text
  EXPECT_EQ(*model_->detokenize(*tokens), "Hi <|im_end|>");
  EXPECT_EQ(model_->tokenize("Hi <|im_end|>", KINGLET_PARSE_SPECIAL)->size(), 4U);
  EXPECT_EQ(model_->detokenize({-1}).error().code, KINGLET_OUT_OF_RANGE);
}

TEST_F(Sessions, StreamsWhatItReturns) {
  auto session = model_->session();
  ASSERT_TRUE(session.ok()) << session.error().text;
  std::string streamed;
  const auto answer = session->generate("Once", greedy(12), [&](std::string_view piece) {
    streamed += piece;
    return true;
  });
  ASSERT_TRUE(answer.ok()) << answer.error().text;
  EXPECT_EQ(streamed, answer->text);
  EXPECT_EQ(answer->prompt_tokens, 4);
  EXPECT_LE(answer->answer_tokens, 12);
}

TEST_F(Sessions, TheSameSeedGivesTheSameAnswer) {
  auto sample = [&](uint64_t seed) {
    auto session = model_->session();
    return session->generate("Once", Sampling().temperature(2).seed(seed).max_tokens(24))->text;
  };
  EXPECT_EQ(sample(7), sample(7));
  EXPECT_NE(sample(7), sample(8));
}

TEST_F(Sessions, AConversationGoesOnFromItsCache) {
  auto session = model_->session();
  ASSERT_FALSE(session->set_system("Be brief.").has_value());
  const auto first = session->chat("one", greedy(4));
  ASSERT_TRUE(first.ok()) << first.error().text;
  const size_t held = session->length();
  EXPECT_TRUE(session->set_system("too late").has_value());
  const auto second = session->chat("two", greedy(4));
  ASSERT_TRUE(second.ok()) << second.error().text;
  EXPECT_GT(session->length(), held);
  EXPECT_LT(second->prompt_tokens, static_cast<int32_t>(session->length()));
  session->reset();
  EXPECT_EQ(session->length(), 0U);
  EXPECT_FALSE(session->set_system("Be brief.").has_value());
  EXPECT_EQ(session->chat("one", greedy(4))->text, first->text);
}

TEST_F(Sessions, ACallbackStopsTheAnswerAndItsExceptionComesBack) {
  auto session = model_->session();
  const auto stopped = session->generate("Once", greedy(50), [](std::string_view) { return false; });
  ASSERT_TRUE(stopped.ok()) << stopped.error().text;
  EXPECT_EQ(stopped->reason, KINGLET_STOP_CANCELLED);
  EXPECT_THROW(
      (void)session->generate("upon", greedy(50), [](std::string_view) -> bool { throw std::runtime_error("mine"); }),
      std::runtime_error);
}

TEST_F(Sessions, AFullContextIsAReasonAndAPromptThatDoesNotFitAnError) {
  auto session = model_->session(16);
  ASSERT_TRUE(session.ok()) << session.error().text;
  const auto full = session->generate("Once", Sampling().temperature(2).seed(3));
  ASSERT_TRUE(full.ok()) << full.error().text;
  EXPECT_LE(session->length(), 16U);
  session->reset();
  const auto refused = session->generate("a text of more than sixteen bytes", greedy(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, KINGLET_OUT_OF_RANGE);
  EXPECT_EQ(session->length(), 0U);
}

TEST_F(Sessions, RefusesOptionsThatMakeNoSense) {
  auto session = model_->session();
  EXPECT_EQ(session->generate("x", Sampling().temperature(-1)).error().code, KINGLET_INVALID_ARGUMENT);
  EXPECT_EQ(session->generate("x", Sampling().max_tokens(-1)).error().code, KINGLET_INVALID_ARGUMENT);
  EXPECT_EQ(kinglet_generate(session->c(), nullptr, 3, nullptr, nullptr, nullptr, nullptr, nullptr),
            KINGLET_INVALID_ARGUMENT);
}

TEST_F(Sessions, ASessionOutlivesItsModelsHandle) {
  auto session = model_->session();
  model_.reset();
  EXPECT_TRUE(session->generate("Once", greedy(3)).ok());
}

}  // namespace
