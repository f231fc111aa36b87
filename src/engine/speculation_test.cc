#include "engine/speculation.h"

#include <algorithm>
#include <cstring>

#include "engine/draft_model.h"
#include "engine/generate.h"
#include "engine/testing.h"
#include "host/testing.h"

namespace kinglet {
namespace {

using Tokens = std::vector<TokenId>;

Tokens guess_of(Drafter& drafter, const Tokens& tokens, int64_t count) {
  if (drafter.look(tokens) == Drafter::kNoIdea) return {};
  const auto guess = drafter.guess(count);
  EXPECT_TRUE(guess.ok());
  return Tokens(guess->begin(), guess->end());
}

TEST(NgramDrafter, GuessesWhatFollowedTheLastTokensBefore) {
  NgramDrafter drafter;
  EXPECT_EQ(guess_of(drafter, {}, 4), Tokens{});
  EXPECT_EQ(guess_of(drafter, {1}, 4), Tokens{});
  EXPECT_EQ(guess_of(drafter, {1, 2, 3, 4, 5}, 4), Tokens{});
  // Incremental: each call goes on from the one before.
  EXPECT_EQ(guess_of(drafter, {1, 2, 3, 4, 5, 1, 2}, 2), (Tokens{3, 4}));
  EXPECT_EQ(guess_of(drafter, {1, 2, 3, 4, 5, 1, 2, 9, 1, 2}, 3), (Tokens{9, 1, 2})) << "the latest of equals";
  EXPECT_EQ(guess_of(drafter, {1, 2, 3, 4, 5, 1, 2, 9, 1, 2, 5, 1, 2}, 1), (Tokens{9}))
      << "5 1 2 agrees further than 1 2";
}

TEST(NgramDrafter, GoesOnWithItselfPastTheEnd) {
  NgramDrafter drafter;
  EXPECT_EQ(guess_of(drafter, {7, 7, 7, 7}, 6), (Tokens{7, 7, 7, 7, 7, 7}));
  NgramDrafter other;
  EXPECT_EQ(guess_of(other, {1, 2, 3, 1, 2, 3, 1, 2}, 7), (Tokens{3, 1, 2, 3, 1, 2, 3}));
}

TEST(NgramDrafter, TrustsLongerAgreementMore) {
  NgramDrafter drafter;
  EXPECT_EQ(drafter.look(Tokens{1, 2, 8, 1, 2}), 0);
  NgramDrafter three;
  EXPECT_EQ(three.look(Tokens{1, 2, 3, 8, 1, 2, 3}), 1);
  NgramDrafter long_one;
  Tokens tokens;
  for (TokenId i = 0; i < 20; ++i) tokens.push_back(i % 10);
  EXPECT_EQ(long_one.look(tokens), 3);
}

TEST(SpeculationPace, GuessesWhereItPaysAndStopsWhereItDoesNot) {
  SpeculationPace pace;
  EXPECT_EQ(pace.choose(3, 15), 0) << "a plain step is measured first";
  pace.took(1, 1.0);
  EXPECT_GT(pace.choose(3, 15), 0);
  EXPECT_LE(pace.choose(3, 5), 3) << "room";
  EXPECT_EQ(pace.choose(3, 0), 0);
  for (int i = 0; i < 30; ++i) {
    for (const int64_t batch : {2, 4, 8, 16}) pace.took(batch, 0.5 + 0.5 * static_cast<double>(batch));  // 1.5 to 8.5
  }
  for (int i = 0; i < 50; ++i) pace.judge(3, 7, 7);
  EXPECT_EQ(pace.choose(3, 15), 15) << "16 tokens in 8.5 steps";
  for (int i = 0; i < 200; ++i) pace.judge(3, 7, 1);  // every second one
  EXPECT_EQ(pace.choose(3, 15), 0) << "1.5 tokens in 1.5 steps";
  EXPECT_NE(pace.choose(2, 15), 0) << "each class by itself";
}

TEST(SpeculationPace, TriesAgainAfterAWhile) {
  SpeculationPace pace;
  pace.took(1, 1.0);
  pace.took(2, 1.3);
  for (int i = 0; i < 100; ++i) pace.judge(1, 1, 0);
  int off = 0;
  while (off < 10000 && pace.choose(1, 1) == 0) ++off;
  EXPECT_GT(off, 20);
  EXPECT_LT(off, 2000);
}

TEST(SpeculationPace, ABusyMomentDoesNotEndIt) {
  SpeculationPace pace;
  pace.took(1, 1.0);
  for (const int64_t batch : {2, 4, 8, 16}) pace.took(batch, 20.0);
  int off = 0;
  while (off < 1000 && pace.choose(3, 15) == 0) ++off;
  EXPECT_LT(off, 300);
}

// Times that grow by half a step with each token beyond the first: a batch of few costs little, one of many what its tokens cost.
BatchTimes dear_from_eight() {
  BatchTimes times;
  for (int i = 0; i < 40; ++i)
    for (const auto& [tokens, seconds] :
         {std::pair(1, 1.0), {2, 1.05}, {4, 1.15}, {8, 1.4}, {16, 2.8}, {32, 5.6}, {64, 11.2}})
      times.took(tokens, seconds);
  return times;
}

TEST(BatchTimes, NeighboursTellOfSizesBetweenThem) {
  BatchTimes times;
  EXPECT_EQ(times.seconds(5), 0) << "nothing was measured";
  times.took(6, 3.0);
  EXPECT_NEAR(times.seconds(6), 3.0, 1e-9);
  EXPECT_LT(times.seconds(1), 3.0);
  EXPECT_GT(times.seconds(16), 3.0);
  for (int i = 0; i < 200; ++i) times.took(6, 1.0), times.took(12, 2.0);
  EXPECT_NEAR(times.seconds(6), 1.0, 0.05);
  EXPECT_NEAR(times.seconds(12), 2.0, 0.1);
  times.took(1000, 50.0);
  EXPECT_NEAR(times.seconds(12), 2.0, 0.1) << "none of the small ones";
}

TEST(GuessesWorth, TheMoreShareABatchTheMoreItTakes) {
  const BatchTimes times = dear_from_eight();
  EXPECT_EQ(guesses_worth(times, 0.95, {.answers = 1, .tokens = 1, .room = 15}), 7);
  EXPECT_GT(guesses_worth(times, 0.95, {.answers = 2, .tokens = 2, .room = 15}), 1);
  int64_t before = 15;
  for (const int64_t answers : {1, 2, 4, 6, 8, 16, 32, 100}) {
    const int64_t now = guesses_worth(times, 0.95, {.answers = answers, .tokens = answers, .room = 15});
    EXPECT_LE(now, before) << answers;
    before = now;
  }
  // Where each token costs its share of the batch a guess gains its own answer less than all lose.
  for (const int64_t answers : {8, 16, 32, 100})
    EXPECT_EQ(guesses_worth(times, 0.99, {.answers = answers, .tokens = answers, .room = 15}), 0) << answers;
  EXPECT_EQ(guesses_worth(times, 0.01, {.answers = 1, .tokens = 1, .room = 15}), 0) << "never true";
  EXPECT_LE(guesses_worth(times, 0.95, {.answers = 1, .tokens = 1, .room = 4}), 3) << "room";
}

class Speculation : public TinyModel {
 protected:
  Tokens prompt() const { return tokenizer_->encode("A prompt that is longer than the window of a layer"); }
  Generation run(Session& session, const GenerateOptions& options) {
    auto answer = generate(session, *tokenizer_, prompt(), options);
    EXPECT_TRUE(answer.ok()) << answer.status().text();
    return answer.ok() ? *std::move(answer) : Generation{};
  }
  static GenerateOptions options(float temperature) {
    GenerateOptions out{.max_tokens = 60};
    out.sampling = {
        .temperature = temperature, .top_k = 0, .top_p = 1, .min_p = 0, .repetition_penalty = 1.1f, .seed = 3};
    out.sampling.logit_bias[2] = -std::numeric_limits<float>::infinity();
    return out;
  }
};

TEST_F(Speculation, ChangesNothing) {
  for (const char* name : {"qwen2.5", "gemma-3", "llama-3.2", "phi-3-mini-128k"}) {
    open(name, {.outputs = 16});
    for (const float temperature : {0.0f, 2.0f}) {
      GenerateOptions words = options(temperature);
      Session plain(*runner_);
      const auto expected = run(plain, words);
      for (const int wrong_every : {1, 3, 7, 1000}) {
        words.drafter = [&] { return std::make_unique<Oracle>(plain.tokens(), wrong_every); };
        Session session(*runner_);
        const auto answer = run(session, words);
        EXPECT_EQ(answer.text, expected.text) << name << ", wrong every " << wrong_every;
        EXPECT_EQ(session.tokens(), plain.tokens());
        EXPECT_EQ(answer.answer_tokens, expected.answer_tokens);
        EXPECT_GT(answer.guessed_tokens, 0);
        if (wrong_every == 1000) {
          EXPECT_GT(answer.accepted_tokens, answer.guessed_tokens / 2);
        }
        const TempFolder folder;  // the keys and values too: a saved session goes on the same way
        ASSERT_TRUE(session.save(folder.file("session")).ok());
        Session again(*runner_);
        ASSERT_TRUE(again.load(folder.file("session")).ok());
        ASSERT_TRUE(again.append(Tokens{65}).ok());
        Session other(*runner_);
        ASSERT_TRUE(other.append(plain.tokens()).ok());
        ASSERT_TRUE(other.append(Tokens{65}).ok());
        EXPECT_TRUE(std::ranges::equal(again.next_logits(), other.next_logits()));
      }
      words.drafter = [] { return std::make_unique<NgramDrafter>(); };
      Session session(*runner_);
      EXPECT_EQ(run(session, words).text, expected.text) << name;
    }
  }
}

TEST_F(Speculation, GuessedLogitsAreThoseOfPlainSteps) {
  for (const char* name : {"qwen2.5", "gemma-3"}) {
    open(name, {.outputs = 16});
    Session plain(*runner_), guessing(*runner_);
    ASSERT_TRUE(plain.append(prompt()).ok());
    ASSERT_TRUE(guessing.append(prompt()).ok());
    Tokens text = tokenizer_->encode(" and an answer that goes on for a while, as answers do.");
    for (size_t i = 0; i < text.size(); ++i) {
      ASSERT_TRUE(plain.append({&text[i], 1}).ok());
      Tokens guess(text.begin() + static_cast<ptrdiff_t>(i) + 1,
                   text.begin() + static_cast<ptrdiff_t>(std::min(text.size(), i + 9)));
      if (guess.size() > 4) guess[4] = 0;
      const Status status = i % 5 == 0 ? guessing.append_guessing(text[i], guess) : guessing.append({&text[i], 1});
      ASSERT_TRUE(status.ok()) << status.text();
      ASSERT_TRUE(std::ranges::equal(plain.next_logits(), guessing.next_logits())) << name << " token " << i;
      EXPECT_EQ(guessing.length(), plain.length());
    }
  }
}

TEST_F(Speculation, LeavesRoomAsItIs) {
  open("qwen2.5", {.context = 60, .outputs = 16});
  Session session(*runner_);
  ASSERT_TRUE(session.append(prompt()).ok());
  EXPECT_EQ(session.guess_room(), std::min<int64_t>(15, 60 - session.length() - 1));
  GenerateOptions words = options(0);
  words.max_tokens = 0;
  Session plain(*runner_), guessing(*runner_);
  const auto expected = run(plain, words);
  words.drafter = [&] { return std::make_unique<Oracle>(plain.tokens(), 5); };
  const auto answer = run(guessing, words);
  EXPECT_EQ(expected.finish, Finish::context);
  EXPECT_EQ(answer.finish, Finish::context);
  EXPECT_EQ(answer.text, expected.text);
  EXPECT_EQ(guessing.length(), 60);
}

TEST_F(Speculation, AModelThatDrawsAlikeGuessesRight) {
  open("qwen2.5", {.outputs = 16});
  Runner* const large = runner_;
  for (const float temperature : {0.0f, 2.0f}) {
    GenerateOptions words = options(temperature);
    Session plain(*large), guessing(*large);
    runner_ = large;
    const auto expected = run(plain, words);
    open("qwen2.5", {});
    Runner* const small = runner_;
    words.drafter = [&]() -> std::unique_ptr<Drafter> { return *ModelDrafter::create(*small, words.sampling); };
    const auto answer = run(guessing, words);
    EXPECT_EQ(answer.text, expected.text);
    EXPECT_EQ(answer.accepted_tokens, answer.guessed_tokens) << "the same model, the same draws";
  }
}

TEST_F(Speculation, AskForTheSameVocabulary) {
  EXPECT_TRUE(check_same_vocabulary(*tokenizer_, *byte_tokenizer()).ok());
  const Json vocabulary = {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}}}, {"merges", Json::array()}}}};
  auto other = Tokenizer::from_tokenizer_json(vocabulary);
  ASSERT_TRUE(other.ok()) << other.status().text();
  EXPECT_EQ(check_same_vocabulary(*tokenizer_, *other).code(), Code::invalid_argument);
}

}  // namespace
}  // namespace kinglet
