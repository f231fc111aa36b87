// Learned merges against the definition, counted anew for every merge; and against Hugging Face's trainer.
#include "tokenizer/bpe_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tokenizer/pretokenizer_names.h"
#include "tokenizer/vocabulary.h"

namespace kinglet {
namespace {

constexpr char kTrainingText[] =
    "the cat sat on the mat, and the other cat sat on the other mat.\n"
    "They'll say that's what cats are like: aaaa aaa aa a, 1234 and 12 times 1234!\n"
    "naïve café café naïve \xff\xfe\n"
    "Whether whoever wrote these words wanted other words weathered the weather, nobody knows; nobody asks whether "
    "anybody "
    "wondered, and everybody who asked has wandered off, wondering whether anybody would ever answer everybody's "
    "question.";

class BpeTrainer : public testing::Test {
 protected:
  void SetUp() override {
    auto named = make_named_pretokenizer("gpt-2");
    ASSERT_TRUE(named.ok());
    steps_ = std::move(named->steps);
  }
  TrainedBpe train(std::string_view text, BpeTrainOptions options) {
    WordCounts words(steps_);
    words.add(text);
    auto trained = train_bpe(words, options);
    EXPECT_TRUE(trained.ok()) << trained.status().text();
    return trained.ok() ? *std::move(trained) : TrainedBpe();
  }
  PreTokenizers steps_;
};

/// The definition, with texts for symbols: of the most frequent pairs the one of lowest ids.
std::vector<std::string> plain_merges(const PreTokenizers& steps, std::string_view text,
                                      const std::vector<std::string>& tokens, size_t count, int64_t min_count) {
  std::map<std::string, int32_t> ids;
  for (size_t i = 0; i < tokens.size(); ++i) ids.emplace(tokens[i], static_cast<int32_t>(i));
  std::vector<std::vector<std::string>> words;
  run_pretokenizers(steps, text, true, [&](std::string_view word, bool) {
    std::vector<std::string> symbols;
    for (const char c : word) symbols.push_back(encode_byte_level(std::string_view(&c, 1)));
    words.push_back(symbols);
  });
  std::vector<std::string> merges;
  while (merges.size() < count) {
    std::map<std::pair<int32_t, int32_t>, int64_t> pairs;
    for (const auto& word : words)
      for (size_t i = 0; i + 1 < word.size(); ++i) ++pairs[{ids.at(word[i]), ids.at(word[i + 1])}];
    std::pair<int32_t, int32_t> best;
    int64_t most = 0;
    for (const auto& [pair, n] : pairs) {
      if (n > most) most = n, best = pair;
    }
    if (most < min_count) break;
    const std::string &l = tokens[static_cast<size_t>(best.first)], &r = tokens[static_cast<size_t>(best.second)];
    merges.push_back(l + " " + r);
    for (auto& word : words) {
      std::vector<std::string> merged;
      for (size_t i = 0; i < word.size(); ++i) {
        const bool here = i + 1 < word.size() && word[i] == l && word[i + 1] == r;
        merged.push_back(here ? l + r : word[i]);
        i += here;
      }
      word = merged;
    }
  }
  return merges;
}

TEST_F(BpeTrainer, MergesAreThoseOfTheDefinition) {
  const TrainedBpe trained = train(kTrainingText, {.vocabulary = 400, .special = {"<|end|>"}});
  EXPECT_GT(trained.merges.size(), 40U);
  EXPECT_LT(trained.tokens.size(), 400U);  // no pair is left that occurs twice
  EXPECT_EQ(trained.merges, plain_merges(steps_, kTrainingText, trained.tokens, 1000, 2));
  EXPECT_EQ(trained.tokens[0], "<|end|>");
  EXPECT_EQ(trained.tokens.size(), 257 + trained.merges.size());
}

TEST_F(BpeTrainer, EveryVocabularyIsTheBeginningOfALargerOne) {
  const TrainedBpe large = train(kTrainingText, {.vocabulary = 330, .min_count = 1});
  EXPECT_EQ(large.tokens.size(), 330U);
  const TrainedBpe small = train(kTrainingText, {.vocabulary = 290, .min_count = 1});
  EXPECT_EQ(small.merges, std::vector(large.merges.begin(), large.merges.begin() + 34));
}

TEST_F(BpeTrainer, TextNeverBecomesASpecialToken) {
  const TrainedBpe trained = train("the the the the", {.vocabulary = 300, .special = {"the"}});
  EXPECT_EQ(std::count(trained.tokens.begin(), trained.tokens.end(), "the"), 1);
  for (const std::string& merge : trained.merges) EXPECT_NE(merge, "th e");
}

TEST_F(BpeTrainer, WhatCannotBeIsRefused) {
  const WordCounts none(steps_);
  EXPECT_EQ(train_bpe(none, {.vocabulary = 255}).status().code(), Code::invalid_argument);
  EXPECT_EQ(train_bpe(none, {.vocabulary = 300, .special = {"a", "a"}}).status().code(), Code::invalid_argument);
  EXPECT_EQ(train_bpe(none, {.vocabulary = 300, .special = {""}}).status().code(), Code::invalid_argument);
  EXPECT_EQ(train_bpe(none, {.vocabulary = 300, .special = {"a"}}).status().code(), Code::invalid_argument);
  EXPECT_EQ(train_bpe(none, {.vocabulary = 300})->tokens.size(), 256U);
  WordCounts words(steps_);
  words.add(kTrainingText);
  const auto stopped = train_bpe(words, {.vocabulary = 400, .progress = [](int32_t) { return false; }});
  EXPECT_EQ(stopped.status().code(), Code::cancelled);
}

}  // namespace
}  // namespace kinglet
