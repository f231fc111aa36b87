// A scheduler over a tiny model, and what its requests are answered. For x_test.cc files only.
#pragma once

#include <functional>
#include <future>
#include <limits>
#include <map>
#include <string>

#include "engine/generate.h"
#include "engine/scheduler.h"
#include "engine/testing.h"

namespace kinglet {

/// Collects what one request was answered.
class Collector : public AnswerSink {
 public:
  struct Answer {
    std::string text;
    std::vector<TokenId> ids;
    std::vector<AnswerToken> tokens;
    Finish finish = Finish::cancelled;
    std::string stop;
  };
  void on_token(int32_t choice, AnswerToken token) override {
    Answer& answer = answers[choice];
    answer.text += token.text;
    answer.ids.push_back(token.id);
    answer.tokens.push_back(std::move(token));
    if (after_token) after_token();
  }
  void on_finish(int32_t choice, Finish finish, std::string rest, std::string_view stop) override {
    answers[choice].text += rest;
    answers[choice].finish = finish;
    answers[choice].stop = stop;
  }
  void on_hidden(std::span<const float> values) override { hidden.assign(values.begin(), values.end()); }
  void on_done(const Status& status, const RequestUsage& u) override {
    usage = u;
    done.set_value(status);
  }
  Status wait() { return done.get_future().get(); }

  std::map<int32_t, Answer> answers;
  std::vector<float> hidden;
  RequestUsage usage;
  std::function<void()> after_token;
  std::promise<Status> done;
};

class SchedulerTest : public TinyModel {
 protected:
  std::vector<TokenId> encode(std::string_view text) const { return tokenizer_->encode(text); }
  static GenerateOptions wild(uint64_t seed, int64_t max_tokens) {
    GenerateOptions options{.max_tokens = max_tokens};
    options.sampling = {.temperature = 2, .top_k = 0, .top_p = 1, .min_p = 0, .seed = seed};
    options.sampling.logit_bias[2] = -std::numeric_limits<float>::infinity();  // no end
    return options;
  }
  static GenerateOptions greedy(int64_t max_tokens) {
    GenerateOptions options{.max_tokens = max_tokens};
    options.sampling.temperature = 0;
    return options;
  }
  Generation expected(std::string_view prompt, const GenerateOptions& options) {
    Session session(*runner_);
    auto answer = generate(session, *tokenizer_, encode(prompt), options);
    EXPECT_TRUE(answer.ok()) << answer.status().text();
    return *std::move(answer);
  }
  std::unique_ptr<Scheduler> scheduler(SchedulerOptions options = {.parallel = 4, .chunk = 8}) {
    auto made = Scheduler::create(*runner_, *tokenizer_, options);
    EXPECT_TRUE(made.ok()) << made.status().text();
    return *std::move(made);
  }
  std::shared_ptr<Collector> submit(Scheduler& scheduler, std::string_view prompt, const GenerateOptions& options,
                                    int32_t choices = 1) {
    auto sink = std::make_shared<Collector>();
    auto ticket = scheduler.submit({.prompt = encode(prompt), .options = options, .choices = choices, .sink = sink});
    EXPECT_TRUE(ticket.ok()) << ticket.status().text();
    return sink;
  }
  /// The next turn of the conversation that `one` answered `first` in: all of it but the answer's last token, which was not evaluated, is
  /// found, and the answer is that of a session.
  void expect_next_turn(std::unique_ptr<Scheduler> running, std::string_view first, const Collector& one) {
    const std::vector<TokenId>& answer = one.answers.at(0).ids;
    std::vector<TokenId> next = encode(first);
    next.insert(next.end(), answer.begin(), answer.end());
    const auto held = static_cast<int64_t>(next.size()) - 1;
    for (const TokenId id : encode(" And then?")) next.push_back(id);
    auto sink = std::make_shared<Collector>();
    ASSERT_TRUE(running->submit({.prompt = next, .options = wild(2, 9), .sink = sink}).ok());
    ASSERT_TRUE(sink->wait().ok());
    EXPECT_EQ(sink->usage.cached_tokens, held);
    running.reset();
    Session session(*runner_);
    EXPECT_EQ(sink->answers[0].text, generate(session, *tokenizer_, next, wild(2, 9))->text);
  }
};

}  // namespace kinglet
