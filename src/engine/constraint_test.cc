#include "engine/constraint.h"

#include <gtest/gtest.h>

#include "engine/answer_stream.h"
#include "grammar/regex.h"
#include "tokenizer/testing.h"

namespace kinglet {
namespace {

class ConstraintTest : public ByteTokenizerTest {
 protected:
  std::shared_ptr<Constraint> constraint(std::string_view pattern) const {
    auto grammar = grammar::compile_regex(pattern);
    EXPECT_TRUE(grammar.ok()) << grammar.status().text();
    return std::make_shared<Constraint>(
        Constraint{std::make_shared<grammar::Automaton>(*std::move(grammar), text_tokens(*tokenizer_))});
  }
  void accept(ConstraintState& state, std::string_view text) const {
    for (const TokenId id : tokenizer_->encode(text)) ASSERT_TRUE(state.accept(id).ok()) << text;
  }
  bool allows(ConstraintState& state, char c) const {
    const auto mask = state.allowed();
    EXPECT_TRUE(mask.ok()) << mask.status().text();
    const auto id = static_cast<size_t>(tokenizer_->encode(std::string(1, c)).front());
    return *mask == nullptr || ((**mask)[id / 64] >> (id % 64) & 1) != 0;
  }
};

TEST_F(ConstraintTest, ATriggerSwitchesItOn) {
  auto lazy = constraint("<call>[0-9]+</call>");
  lazy->triggers = {"<call>"};
  ConstraintState state(*lazy, *tokenizer_);
  accept(state, "some text < and <ca");
  EXPECT_TRUE(allows(state, 'x'));
  EXPECT_FALSE(state.can_end());
  accept(state, "ll>");
  EXPECT_FALSE(allows(state, 'x'));
  EXPECT_TRUE(allows(state, '7'));
  accept(state, "7</call>");
  EXPECT_TRUE(state.complete());
}

TEST_F(ConstraintTest, SomeTriggersCountAtTheBeginningOnly) {
  auto lazy = constraint("\\{\"name\": [a-z]+\\}");
  lazy->first_triggers = {"{\"name\""};
  ConstraintState first(*lazy, *tokenizer_);
  accept(first, "\n {\"name\"");
  EXPECT_FALSE(allows(first, 'x'));
  ConstraintState later(*lazy, *tokenizer_);
  accept(later, "It is {\"name\"");
  EXPECT_TRUE(allows(later, 'x'));
}

TEST_F(ConstraintTest, ThinkingSwitchesNothingOn) {
  auto lazy = constraint("<call>[0-9]+</call>");
  lazy->triggers = {"<call>"};
  lazy->pause_begin = "<think>";
  lazy->pause_end = "</think>";
  ConstraintState state(*lazy, *tokenizer_);
  accept(state, "\n<think>I might say <call>, or not.</think> No: <ca");
  EXPECT_TRUE(allows(state, 'x'));
  accept(state, "ll>");
  EXPECT_FALSE(allows(state, 'x'));

  ConstraintState plain(*lazy, *tokenizer_);
  accept(plain, "<th<call>");
  EXPECT_FALSE(allows(plain, 'x'));

  lazy->paused = true;
  ConstraintState inside(*lazy, *tokenizer_);
  accept(inside, "<call>");
  EXPECT_TRUE(allows(inside, 'x'));
  accept(inside, "</think><call>");
  EXPECT_FALSE(allows(inside, 'x'));
}

TEST_F(ConstraintTest, WhatTheGrammarRefusesSwitchesNothingOn) {
  auto lazy = constraint("zb");
  lazy->triggers = {"a"};
  ConstraintState state(*lazy, *tokenizer_);
  accept(state, "xa");
  EXPECT_TRUE(allows(state, 'x'));
}

TEST_F(ConstraintTest, WhatHasBegunNeedNotBeSaidAgain) {
  auto begun = constraint("<call>[0-9]+</call>");
  begun->begun = "<call>";
  ConstraintState state(*begun, *tokenizer_);
  EXPECT_TRUE(allows(state, '7'));
  EXPECT_FALSE(allows(state, '<'));
  begun->begun = "nonsense";
  EXPECT_FALSE(ConstraintState(*begun, *tokenizer_).allowed().ok());
}

TEST_F(ConstraintTest, TheWayToTheEndIsKeptFree) {
  ConstraintState state(*constraint("\\[(a|b\\[[0-9]{3}\\])*\\]"), *tokenizer_);
  accept(state, "[");
  const TokenId a = tokenizer_->encode("a").front(), b = tokenizer_->encode("b").front(),
                end = tokenizer_->encode("]").front();
  EXPECT_TRUE(state.fits(b, 6));  // "[123]]"
  EXPECT_FALSE(state.fits(b, 5));
  EXPECT_TRUE(state.fits(a, 1));
  EXPECT_FALSE(state.fits(a, 0));
  const grammar::TokenMask* const closing = state.closing(0);
  ASSERT_NE(closing, nullptr);
  for (TokenId id = 0; id < tokenizer_->vocab_size(); ++id) {
    EXPECT_EQ((*closing)[static_cast<size_t>(id) / 64] >> (id % 64) & 1, id == end ? 1u : 0u) << id;
  }
}

// Whatever is drawn, the text is complete within max_tokens wherever that is possible at all.
TEST_F(ConstraintTest, AnswersEndWithinTheirTokens) {
  const auto vocabulary = static_cast<size_t>(tokenizer_->vocab_size());
  for (uint64_t seed = 0; seed < 20; ++seed) {
    GenerateOptions options{.max_tokens = 8 + static_cast<int64_t>(seed)};
    options.sampling = {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .seed = seed};
    options.constraint = constraint("\\[(a|b\\[[0-9]{3}\\])*\\]");
    auto stream = AnswerStream::create(*tokenizer_, options, tokenizer_->vocab_size());
    ASSERT_TRUE(stream.ok());
    std::vector<float> logits(vocabulary, 0);
    logits[static_cast<size_t>(tokenizer_->encode("]").front())] = -20;  // it would rather go on
    std::vector<TokenId> tokens{1};
    std::string text;
    while (!stream->finish()) {
      const auto id = stream->choose(logits, tokens);
      ASSERT_TRUE(id.ok()) << id.status().text();
      tokens.push_back(*id);
      text += stream->push(*id);
    }
    text += stream->flush();
    EXPECT_EQ(stream->finish(), Finish::end) << text;
    EXPECT_TRUE(text.starts_with('[') && text.ends_with(']')) << text;
  }
}

TEST_F(ConstraintTest, VisibleControlTokensArePartOfTheText) {
  GenerateOptions options;
  options.visible = {1};  // <|im_start|>
  auto stream = AnswerStream::create(*tokenizer_, options, tokenizer_->vocab_size());
  ASSERT_TRUE(stream.ok());
  EXPECT_EQ(stream->push(1), "<|im_start|>");
  EXPECT_EQ(stream->push(tokenizer_->encode("x").front()), "x");
}

}  // namespace
}  // namespace kinglet
