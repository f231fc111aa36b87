// Requests whose tokens are guessed, beside others: nothing changes but the number of batches.
#include "engine/generate.h"
#include "engine/grammar_pool.h"
#include "engine/scheduler_testing.h"
#include "grammar/regex.h"

namespace kinglet {
namespace {

constexpr RunnerOptions kRoomForGuesses{.context = 400, .batch_tokens = 40, .outputs = 20};

class SchedulerSpeculation : public SchedulerTest {
 protected:
  std::vector<TokenId> sequence_of(std::string_view prompt, const GenerateOptions& options) {
    Session session(*runner_);
    EXPECT_TRUE(generate(session, *tokenizer_, encode(prompt), options).ok());
    return session.tokens();
  }
  // The same request with guesses out of the answer that it gets; to be called before a scheduler has the runner.
  GenerateOptions guessing(std::string_view prompt, GenerateOptions options, int wrong_every) {
    options.drafter = [sequence = sequence_of(prompt, options), wrong_every] {
      return std::make_unique<Oracle>(sequence, wrong_every);
    };
    return options;
  }
};

TEST_F(SchedulerSpeculation, ChangesNothing) {
  for (const char* model : {"qwen2.5", "gemma-3", "mistral-7b-v0.1", "phi-3-mini-128k"}) {
    const std::string path = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/" + model;
    if (!std::filesystem::exists(path)) continue;
    open(model, kRoomForGuesses);
    std::vector<std::string> prompts;
    std::vector<GenerateOptions> plain, guessed;
    for (uint64_t i = 0; i < 12; ++i) {
      prompts.push_back("A prompt that is longer than a window " + std::string(i * 5, static_cast<char>('a' + i)));
      plain.push_back(i % 2 == 0 ? greedy(30 + static_cast<int64_t>(i)) : wild(i, 40));
      guessed.push_back(guessing(prompts[i], plain[i], i % 3 == 0 ? 1 : i % 3 == 1 ? 4 : 1000));
      if (i >= 8) guessed[i].drafter = [] { return std::make_unique<NgramDrafter>(); };
    }
    std::vector<Generation> wanted;
    for (size_t i = 0; i < prompts.size(); ++i) wanted.push_back(expected(prompts[i], plain[i]));
    for (const int64_t parallel : {1, 2, 4}) {
      auto running = scheduler({.parallel = parallel, .chunk = 8});
      std::vector<std::shared_ptr<Collector>> sinks;
      for (size_t i = 0; i < prompts.size(); ++i) sinks.push_back(submit(*running, prompts[i], guessed[i]));
      for (size_t i = 0; i < sinks.size(); ++i) {
        ASSERT_TRUE(sinks[i]->wait().ok());
        EXPECT_EQ(sinks[i]->answers[0].text, wanted[i].text) << model << " " << i << " of " << parallel;
        EXPECT_EQ(sinks[i]->answers[0].finish, wanted[i].finish);
        EXPECT_EQ(sinks[i]->usage.answer_tokens, wanted[i].answer_tokens);
        EXPECT_GE(sinks[i]->usage.guessed_tokens, sinks[i]->usage.accepted_tokens);
      }
      const SchedulerStats stats = running->stats();
      EXPECT_GT(stats.guessed_tokens, 0u) << model << " " << parallel;
      EXPECT_GT(stats.accepted_tokens, 0u) << model << " " << parallel;
    }
  }
}

TEST_F(SchedulerSpeculation, TakesFewerBatches) {
  open("qwen2.5", kRoomForGuesses);
  const auto options = guessing("Hello", wild(3, 120), 1000);
  auto running = scheduler();
  const auto sink = submit(*running, "Hello", options);
  ASSERT_TRUE(sink->wait().ok());
  EXPECT_EQ(sink->usage.answer_tokens, 120);
  EXPECT_GT(sink->usage.accepted_tokens, 0);
  running->stop();
  const SchedulerStats stats = running->stats();
  EXPECT_EQ(stats.accepted_tokens, static_cast<uint64_t>(sink->usage.accepted_tokens));
  // Each batch gives one token, and those that were guessed; the prompt is a batch too.
  EXPECT_LE(stats.steps, 121 - stats.accepted_tokens);
}

TEST_F(SchedulerSpeculation, EndsWhereAPlainAnswerEnds) {
  open("qwen2.5", {.context = 60, .batch_tokens = 40, .outputs = 20});
  const std::string prompt = "A prompt that leaves some room";
  const Generation whole = expected(prompt, wild(5, 20));
  auto stopping = wild(5, 20);
  stopping.stops = {whole.text.substr(whole.text.size() / 2, 2)};
  auto endless = wild(5, 0);
  std::vector<Generation> wanted;
  for (const auto& options : {stopping, endless, wild(5, 7), wild(5, 1)}) wanted.push_back(expected(prompt, options));
  EXPECT_EQ(wanted[0].finish, Finish::stop);
  EXPECT_EQ(wanted[1].finish, Finish::context);
  size_t i = 0;
  const auto past_the_end = guessing(prompt, endless, 1000).drafter;
  auto running = scheduler();
  for (auto options : {stopping, endless, wild(5, 7), wild(5, 1)}) {
    options.drafter = past_the_end;
    for (int round = 0; round < 3; ++round) {
      const auto sink = submit(*running, prompt, options);
      ASSERT_TRUE(sink->wait().ok());
      EXPECT_EQ(sink->answers[0].text, wanted[i].text) << i;
      EXPECT_EQ(sink->answers[0].finish, wanted[i].finish) << i;
      EXPECT_EQ(sink->answers[0].stop, wanted[i].stop) << i;
      EXPECT_EQ(sink->usage.answer_tokens, wanted[i].answer_tokens) << i;
    }
    ++i;
  }
}

TEST_F(SchedulerSpeculation, ChoicesLogProbabilitiesAndGrammarsAreTheSame) {
  open("qwen2.5", kRoomForGuesses);
  auto grammar = grammar::compile_regex("([a-z]{3} )*[0-9]{2}!");
  ASSERT_TRUE(grammar.ok());
  GrammarPool pool(*tokenizer_, {}, 1 << 20);
  auto held = wild(5, 60);
  held.sampling.logit_bias.clear();
  held.constraint = std::make_shared<const Constraint>(
      Constraint{*pool.get("form", [&] { return Result<grammar::Grammar>(*grammar); })});
  const std::pair<GenerateOptions, GenerateOptions> both[] = {{wild(5, 60), guessing("Hello", wild(5, 60), 9)},
                                                              {held, guessing("Hello", held, 9)}};
  auto running = scheduler();
  for (const auto& [plain, options] : both) {
    std::vector<std::shared_ptr<Collector>> sinks;
    for (const auto& o : {plain, options}) {
      sinks.push_back(std::make_shared<Collector>());
      ASSERT_TRUE(running
                      ->submit({.prompt = encode("Hello"),
                                .options = o,
                                .choices = 3,
                                .top_logprobs = 2,
                                .logprobs = true,
                                .sink = sinks.back()})
                      .ok());
      ASSERT_TRUE(sinks.back()->wait().ok());
    }
    for (int32_t choice = 0; choice < 3; ++choice) {
      const auto &one = sinks[0]->answers[choice], &other = sinks[1]->answers[choice];
      EXPECT_EQ(one.text, other.text);
      ASSERT_EQ(one.tokens.size(), other.tokens.size());
      for (size_t i = 0; i < one.tokens.size(); ++i) {
        EXPECT_EQ(one.tokens[i].log_probability, other.tokens[i].log_probability);
        EXPECT_EQ(one.tokens[i].most_probable[1].id, other.tokens[i].most_probable[1].id);
      }
    }
    EXPECT_GT(sinks[1]->usage.guessed_tokens, 0);
    EXPECT_EQ(sinks[0]->usage.guessed_tokens, 0);
  }
}

// What was guessed wrongly leaves nothing behind: neither for the next turn nor for a neighbour.
TEST_F(SchedulerSpeculation, TheNextTurnFindsWhatIsTrue) {
  for (const char* model : {"qwen2.5", "gemma-3"}) {
    open(model, kRoomForGuesses);
    const std::string first = "A question that is long enough to leave the windows of some layers far behind it.";
    const auto options = guessing(first, wild(1, 40), 3);
    auto running = scheduler();
    const auto one = submit(*running, first, options);
    ASSERT_TRUE(one->wait().ok());
    SCOPED_TRACE(model);
    expect_next_turn(std::move(running), first, *one);
  }
}

TEST_F(SchedulerSpeculation, ACancelledAnswerEndsAtOnce) {
  open("qwen2.5", kRoomForGuesses);
  const auto options = guessing("Hello", wild(1, 100), 1000);
  auto running = scheduler({.parallel = 1, .chunk = 8});
  for (const size_t after : {3u, 4u, 9u}) {
    auto sink = std::make_shared<Collector>();
    std::promise<std::shared_ptr<Ticket>> handed;
    auto ticket_there = handed.get_future().share();
    sink->after_token = [&] {
      if (sink->answers[0].ids.size() == after) ticket_there.get()->cancel();
    };
    const auto ticket = running->submit({.prompt = encode("Hello"), .options = options, .sink = sink});
    ASSERT_TRUE(ticket.ok());
    handed.set_value(*ticket);
    EXPECT_EQ(sink->wait().code(), Code::cancelled);
    EXPECT_EQ(sink->answers[0].ids.size(), after);
    EXPECT_EQ(sink->answers[0].finish, Finish::cancelled);
  }
}

TEST_F(SchedulerSpeculation, NobodyGivesUpMemoryForAGuess) {
  open("qwen2.5", kRoomForGuesses);
  std::vector<std::string> wanted;
  std::vector<GenerateOptions> options;
  for (uint64_t i = 0; i < 4; ++i) {
    wanted.push_back(expected("Prompt " + std::to_string(i), wild(i, 200)).text);
    options.push_back(guessing("Prompt " + std::to_string(i), wild(i, 200), 5));
  }
  ASSERT_TRUE(ledger_.reserve(MemoryUse::other, ledger_.limit() - ledger_.total()).ok());
  KvPool& pool = runner_->kv_pool();
  const auto layers = static_cast<int64_t>(pool.windows().size());
  const auto pages = static_cast<int64_t>(pool.bytes() / (pool.shape().page_bytes() + 64));
  KvSequence hoard = runner_->new_sequence();
  ASSERT_TRUE(hoard.prepare((pages / layers - 8) * kPageTokens).ok());
  auto running = scheduler();
  std::vector<std::shared_ptr<Collector>> sinks;
  for (uint64_t i = 0; i < 4; ++i) sinks.push_back(submit(*running, "Prompt " + std::to_string(i), options[i]));
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(sinks[i]->wait().ok());
    EXPECT_EQ(sinks[i]->answers[0].text, wanted[i]);
  }
  running.reset();
}

}  // namespace
}  // namespace kinglet
