#include "engine/grammar_pool.h"

#include <gtest/gtest.h>

#include <thread>

#include "engine/constraint.h"
#include "grammar/json_schema.h"
#include "grammar/regex.h"
#include "tokenizer/testing.h"

namespace kinglet {
namespace {

class GrammarPoolTest : public ByteTokenizerTest {
 protected:
  std::shared_ptr<grammar::Automaton> of_pattern(GrammarPool& pool, const std::string& pattern) {
    auto made = pool.get(pattern, [&] { return ++compiled_, grammar::compile_regex(pattern); });
    EXPECT_TRUE(made.ok()) << made.status().text();
    return *std::move(made);
  }
  std::atomic<int> compiled_{0};
};

TEST_F(GrammarPoolTest, WhatOneAnswerHasLearntServesTheNext) {
  GrammarPool pool(*tokenizer_, {}, 1 << 20);
  const auto first = of_pattern(pool, "(ab|cd)*[0-9]{3}");
  const auto follow = [&](const std::shared_ptr<grammar::Automaton>& automaton) {
    ConstraintState state({automaton}, *tokenizer_);
    for (const TokenId id : tokenizer_->encode("abcd123")) {
      EXPECT_TRUE(state.allowed().ok());
      EXPECT_TRUE(state.accept(id).ok());
    }
    EXPECT_TRUE(state.complete());
  };
  const uint64_t fresh = first->bytes();
  follow(first);
  const uint64_t used = first->bytes();
  EXPECT_GT(used, fresh) << "masks were made";
  const auto second = of_pattern(pool, "(ab|cd)*[0-9]{3}");
  EXPECT_EQ(second, first);
  follow(second);
  EXPECT_EQ(second->bytes(), used) << "nothing was made anew";
  EXPECT_EQ(compiled_, 1);
  EXPECT_EQ(pool.stats().found, 1u);
  EXPECT_EQ(pool.stats().compiled, 1u);
  EXPECT_GE(pool.stats().bytes, used);
}

TEST_F(GrammarPoolTest, TheOneUnusedForLongestGoesAndAnswersKeepTheirs) {
  uint64_t one = 0;
  {
    GrammarPool pool(*tokenizer_, {}, 1);
    of_pattern(pool, "a[0-9]");
    one = pool.stats().bytes;
    EXPECT_EQ(pool.stats().grammars, 1u) << "the latest one stays, whatever it takes";
  }
  GrammarPool pool(*tokenizer_, {}, 3 * one + one / 2);
  const auto kept = of_pattern(pool, "a[0-9]");
  of_pattern(pool, "b[0-9]");
  of_pattern(pool, "c[0-9]");
  of_pattern(pool, "a[0-9]");
  of_pattern(pool, "d[0-9]");  // drives b out
  EXPECT_EQ(pool.stats().evicted, 1u);
  EXPECT_EQ(compiled_, 5);
  of_pattern(pool, "a[0-9]");
  EXPECT_EQ(compiled_, 5);
  of_pattern(pool, "b[0-9]");
  EXPECT_EQ(compiled_, 6);
  of_pattern(pool, "c[0-9]");
  of_pattern(pool, "d[0-9]");
  of_pattern(pool, "e[0-9]");
  ConstraintState held({kept}, *tokenizer_);
  for (const TokenId id : tokenizer_->encode("a7")) ASSERT_TRUE(held.accept(id).ok());
  EXPECT_TRUE(held.complete());
}

TEST_F(GrammarPoolTest, KeepsNoErrors) {
  GrammarPool pool(*tokenizer_, {}, 1 << 20);
  EXPECT_EQ(pool.get("(", [] { return grammar::compile_regex("("); }).status().code(), Code::invalid_argument);
  EXPECT_EQ(pool.stats().grammars, 0u);
}

// Several threads follow texts of one grammar, of which much has to be forgotten on the way; each gets the masks that it would get alone.
TEST_F(GrammarPoolTest, ThreadsShareOneGrammar) {
  GrammarPool pool(*tokenizer_, {}, 1 << 20);
  const Json schema = Json::parse(R"({"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"anyOf": [
    {"$ref": "#/$defs/t"}, {"type": "string"}, {"type": "integer"}]}}}})");
  const auto run = [&](uint32_t seed, std::string& text, std::vector<grammar::TokenMask>& masks) {
    const auto automaton = pool.get(schema.dump(), [&] { return grammar::compile_json_schema(schema); });
    ASSERT_TRUE(automaton.ok());
    ConstraintState state({*automaton}, *tokenizer_);
    for (int step = 0; step < 300 && !state.complete(); ++step) {
      const auto allowed = state.allowed();
      ASSERT_TRUE(allowed.ok());
      masks.push_back(**allowed);
      std::vector<TokenId> ids;
      for (TokenId id = 0; id < 256; ++id)
        if ((**allowed)[static_cast<size_t>(id) / 64] >> (id % 64) & 1) ids.push_back(id);
      ASSERT_FALSE(ids.empty());
      seed = seed * 1664525 + 1013904223;
      const TokenId open = tokenizer_->encode("[").front();
      const bool deeper = step < 40 && std::ranges::find(ids, open) != ids.end();
      const TokenId id = deeper ? open : ids[(seed >> 8) % ids.size()];
      text += tokenizer_->piece(id);
      ASSERT_TRUE(state.accept(id).ok());
    }
  };
  std::vector<std::string> alone(4), together(4);
  std::vector<std::vector<grammar::TokenMask>> masks_alone(4), masks_together(4);
  for (uint32_t i = 0; i < 4; ++i) run(i, alone[i], masks_alone[i]);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 4; ++i) threads.emplace_back([&, i] { run(i, together[i], masks_together[i]); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(alone, together);
  EXPECT_EQ(masks_alone, masks_together);
}

}  // namespace
}  // namespace kinglet
