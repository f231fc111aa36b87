#include "engine/scheduler.h"

#include "engine/scheduler_testing.h"

namespace kinglet {
namespace {

constexpr RunnerOptions kSmall{.context = 400, .batch_tokens = 16, .outputs = 4};

// Whatever runs beside it, however its prompt was cut and whatever it shares with others.
TEST_F(SchedulerTest, AnswersAreThoseOfGenerate) {
  for (const char* model : {"qwen2.5", "gemma-3", "mistral-7b-v0.1", "phi-3-mini-128k"}) {
    const std::string path = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/" + model;
    if (!std::filesystem::exists(path)) continue;
    open(model, kSmall);
    const std::string shared =
        "A beginning that all of them share, longer than a window and than a page of keys and values. ";
    std::vector<std::pair<std::string, GenerateOptions>> requests;
    for (uint64_t i = 0; i < 12; ++i) {
      std::string prompt = i % 4 == 3 ? "x" : shared + std::string(i * 7, static_cast<char>('a' + i));
      if (i == 7) prompt = requests[4].first;
      requests.emplace_back(prompt, i % 2 == 0 ? greedy(10 + static_cast<int64_t>(i)) : wild(i, 20));
    }
    std::vector<Generation> wanted;
    for (const auto& [prompt, options] : requests) wanted.push_back(expected(prompt, options));
    auto running = scheduler();
    std::vector<std::shared_ptr<Collector>> sinks;
    for (const auto& [prompt, options] : requests) sinks.push_back(submit(*running, prompt, options));
    for (size_t i = 0; i < sinks.size(); ++i) {
      const Status status = sinks[i]->wait();
      ASSERT_TRUE(status.ok()) << status.text();
      EXPECT_EQ(sinks[i]->answers[0].text, wanted[i].text) << model << " " << i;
      EXPECT_EQ(sinks[i]->answers[0].finish, wanted[i].finish);
      EXPECT_EQ(sinks[i]->usage.answer_tokens, wanted[i].answer_tokens);
      EXPECT_EQ(sinks[i]->usage.prompt_tokens, wanted[i].prompt_tokens);
    }
    EXPECT_GT(running->stats().cached_tokens, 5 * shared.size()) << model << ": evaluated once for all";
  }
}

// Requests that begin alike and choose different adapters share batches, and no keys and values.
TEST_F(SchedulerTest, EachRequestHasTheAdapterItChose) {
  const std::string adapter = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/lora-llama-3.2";
  if (!std::filesystem::exists(adapter)) GTEST_SKIP() << "shared fixture is absent: " << adapter;
  const std::string prompt = "The same beginning for all of them, longer than is worth waiting for.";
  std::vector<AdapterChoice> choices(2);
  choices[0] = {adapter, 4};
  choices[1] = {adapter, -4};
  std::vector<std::string> wanted;
  for (int32_t i = -1; i < 2; ++i) {
    ModelOptions one;
    if (i >= 0) one.adapters.push_back(choices[static_cast<size_t>(i)]);
    open("llama-3.2", kSmall, one);
    wanted.push_back(expected(prompt, wild(3, 20)).text);
  }
  EXPECT_NE(wanted[0], wanted[1]);
  EXPECT_NE(wanted[1], wanted[2]);
  open("llama-3.2", kSmall, {.choices = choices});
  auto running = scheduler();
  for (int round = 0; round < 2; ++round) {  // the second from the prefix cache
    std::vector<std::shared_ptr<Collector>> sinks;
    for (int32_t i = 0; i < 6; ++i) {
      sinks.push_back(std::make_shared<Collector>());
      const auto ticket = running->submit(
          {.prompt = encode(prompt), .options = wild(3, 20), .adapter = i % 3 - 1, .sink = sinks.back()});
      ASSERT_TRUE(ticket.ok()) << ticket.status().text();
    }
    for (size_t i = 0; i < sinks.size(); ++i) {
      ASSERT_TRUE(sinks[i]->wait().ok());
      EXPECT_EQ(sinks[i]->answers[0].text, wanted[i % 3]) << i;
    }
  }
  auto sink = std::make_shared<Collector>();
  EXPECT_EQ(running->submit({.prompt = encode("x"), .adapter = 2, .sink = sink}).status().code(),
            Code::invalid_argument);
}

TEST_F(SchedulerTest, AConversationsNextTurnEvaluatesWhatIsNew) {
  for (const char* model : {"qwen2.5", "gemma-3"}) {
    open(model, kSmall);
    auto running = scheduler();
    const std::string first = "A question that is long enough to leave the windows of some layers far behind it.";
    const auto one = submit(*running, first, wild(1, 20));
    ASSERT_TRUE(one->wait().ok());
    EXPECT_EQ(one->usage.cached_tokens, 0);
    const auto again = submit(*running, first, wild(1, 20));
    ASSERT_TRUE(again->wait().ok());
    EXPECT_EQ(again->usage.cached_tokens, static_cast<int64_t>(first.size()) - 1);
    EXPECT_EQ(again->answers[0].text, one->answers[0].text);
    SCOPED_TRACE(model);
    expect_next_turn(std::move(running), first, *one);
  }
}

TEST_F(SchedulerTest, ChoicesAreThoseOfTheirSeeds) {
  open("qwen2.5", kSmall);
  std::vector<std::string> wanted;
  for (uint64_t i = 0; i < 3; ++i) wanted.push_back(expected("Hello", wild(5 + i, 12)).text);
  auto running = scheduler();
  const auto sink = submit(*running, "Hello", wild(5, 12), 3);
  ASSERT_TRUE(sink->wait().ok());
  for (int32_t i = 0; i < 3; ++i) EXPECT_EQ(sink->answers[i].text, wanted[static_cast<size_t>(i)]);
  EXPECT_EQ(sink->usage.answer_tokens, 36);
}

TEST_F(SchedulerTest, MemoryThatRunsOutDelaysAndChangesNothing) {
  open("qwen2.5", kSmall);
  std::vector<std::string> wanted;
  for (uint64_t i = 0; i < 4; ++i) wanted.push_back(expected("Prompt " + std::to_string(i), wild(i, 300)).text);
  // Nothing is left in the ledger, and of the pages that there are another sequence takes all but 8 for each layer: one answer
  // needs 5.
  ASSERT_TRUE(ledger_.reserve(MemoryUse::other, ledger_.limit() - ledger_.total()).ok());
  KvPool& pool = runner_->kv_pool();
  const auto layers = static_cast<int64_t>(pool.windows().size());
  const auto pages = static_cast<int64_t>(pool.bytes() / (pool.shape().page_bytes() + 64));
  KvSequence hoard = runner_->new_sequence();
  ASSERT_TRUE(hoard.prepare((pages / layers - 8) * kPageTokens).ok());
  auto running = scheduler();
  std::vector<std::shared_ptr<Collector>> sinks;
  for (uint64_t i = 0; i < 4; ++i) sinks.push_back(submit(*running, "Prompt " + std::to_string(i), wild(i, 300)));
  for (size_t i = 0; i < 4; ++i) {
    const Status status = sinks[i]->wait();
    ASSERT_TRUE(status.ok()) << status.text();
    EXPECT_EQ(sinks[i]->answers[0].text, wanted[i]);
  }
  EXPECT_GT(running->stats().preemptions, 0u);
  running.reset();
}

TEST_F(SchedulerTest, LogProbabilitiesAreTheModels) {
  open("qwen2.5", kSmall);
  auto running = scheduler();
  auto sink = std::make_shared<Collector>();
  ASSERT_TRUE(
      running
          ->submit({.prompt = encode("Hello"), .options = greedy(3), .top_logprobs = 4, .logprobs = true, .sink = sink})
          .ok());
  ASSERT_TRUE(sink->wait().ok());
  running.reset();
  Session session(*runner_);
  ASSERT_TRUE(session.append(encode("Hello")).ok());
  ASSERT_FALSE(sink->answers[0].tokens.empty());
  const AnswerToken& token = sink->answers[0].tokens[0];
  EXPECT_EQ(token.log_probability, log_probability(session.next_logits(), token.id));
  ASSERT_EQ(token.most_probable.size(), 4u);
  EXPECT_EQ(token.most_probable[0].id, token.id);
}

TEST_F(SchedulerTest, CancelsAnswersAndWhatWaits) {
  open("qwen2.5", kSmall);
  auto running = scheduler({.parallel = 1, .chunk = 8});
  auto sink = std::make_shared<Collector>();
  std::promise<std::shared_ptr<Ticket>> handed;
  auto ticket_there = handed.get_future().share();
  sink->after_token = [&] {
    if (sink->answers[0].ids.size() == 3) ticket_there.get()->cancel();
  };
  auto ticket = running->submit({.prompt = encode("Hello"), .options = wild(1, 0), .sink = sink});
  ASSERT_TRUE(ticket.ok());
  const auto behind = std::make_shared<Collector>();
  auto waiting = running->submit({.prompt = encode("Hello"), .options = wild(1, 0), .sink = behind});
  ASSERT_TRUE(waiting.ok());
  (*waiting)->cancel();
  handed.set_value(*ticket);  // from here on the third token may pass, which the scheduler's one thread waits at
  EXPECT_EQ(behind->wait().code(), Code::cancelled);
  EXPECT_TRUE(behind->answers.empty());
  EXPECT_EQ(sink->wait().code(), Code::cancelled);
  EXPECT_EQ(sink->answers[0].ids.size(), 3u);
  EXPECT_EQ(sink->answers[0].finish, Finish::cancelled);
}

TEST_F(SchedulerTest, AFullContextEndsTheAnswer) {
  open("qwen2.5", {.context = 20, .batch_tokens = 16, .outputs = 4});
  auto running = scheduler();
  const auto sink = submit(*running, "Hello", wild(1, 0));
  ASSERT_TRUE(sink->wait().ok());
  EXPECT_EQ(sink->answers[0].finish, Finish::context);
  EXPECT_EQ(sink->answers[0].ids.size(), 16u);
}

TEST_F(SchedulerTest, StoppingEndsEverything) {
  open("qwen2.5", kSmall);
  auto running = scheduler({.parallel = 1, .chunk = 8});
  const auto first = submit(*running, "Hello", wild(1, 0)), second = submit(*running, "Hello", wild(1, 0));
  running->stop();
  EXPECT_EQ(first->wait().code(), Code::cancelled);
  EXPECT_EQ(second->wait().code(), Code::cancelled);
  EXPECT_EQ(running->submit({.prompt = encode("x"), .sink = first}).status().code(), Code::cancelled);
}

TEST_F(SchedulerTest, RefusesWhatItCannotDo) {
  open("qwen2.5", kSmall);
  auto running = scheduler({.parallel = 1, .queue = 1});
  const auto sink = std::make_shared<Collector>();
  const auto refusal = [&](std::vector<TokenId> prompt, int32_t choices = 1, std::vector<std::string> stops = {}) {
    Request request;
    request.prompt = std::move(prompt);
    request.choices = choices;
    request.options.stops = std::move(stops);
    request.sink = sink;
    return running->submit(std::move(request)).status().code();
  };
  EXPECT_EQ(refusal({}), Code::invalid_argument);
  EXPECT_EQ(refusal({-1}), Code::invalid_argument);
  EXPECT_EQ(refusal({1 << 20}), Code::invalid_argument);
  EXPECT_EQ(refusal({5}, 2), Code::invalid_argument);
  EXPECT_EQ(refusal(std::vector<TokenId>(401, 5)), Code::out_of_range);
  EXPECT_EQ(refusal({5}, 1, {""}), Code::invalid_argument);
  EXPECT_FALSE(Scheduler::create(*runner_, *tokenizer_, {.parallel = 5}).ok());
}

// Alone, beside answers, and from the prefix cache.
TEST_F(SchedulerTest, HiddenStatesAreTheSameWhateverRunsBesideThem) {
  open("qwen2.5", kSmall);
  auto running = scheduler();
  const auto embed = [&](std::string_view text) {
    auto sink = std::make_shared<Collector>();
    const auto ticket = running->submit({.prompt = encode(text), .embed = true, .sink = sink});
    EXPECT_TRUE(ticket.ok()) << ticket.status().text();
    return sink;
  };
  const std::string text = "A text that is long enough to be cut into several stretches.";
  const auto alone = embed(text);
  ASSERT_TRUE(alone->wait().ok());
  ASSERT_EQ(alone->hidden.size(), static_cast<size_t>(model_->hyper().C));
  EXPECT_TRUE(alone->answers.empty());
  const auto answer = submit(*running, "x", wild(1, 30));
  const auto beside = embed(text), other = embed("Another.");
  ASSERT_TRUE(beside->wait().ok());
  ASSERT_TRUE(other->wait().ok());
  ASSERT_TRUE(answer->wait().ok());
  EXPECT_EQ(beside->hidden, alone->hidden);
  EXPECT_NE(other->hidden, alone->hidden);
  EXPECT_GT(beside->usage.cached_tokens, 0);
}

}  // namespace
}  // namespace kinglet
