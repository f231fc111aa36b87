#include "server/model_shelf.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "engine/scheduler_testing.h"
#include "host/error.h"

namespace kinglet::server {
namespace {

class ModelShelfTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(path_)) GTEST_SKIP() << "shared fixture is absent: " << path_;
    auto tokenizer = byte_tokenizer();
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
    tokenizer_.emplace(*std::move(tokenizer));
    ledger_.emplace();
    auto one = load("measured");
    ASSERT_TRUE(one.ok()) << one.status().text();
    ask(**one, "Hello");
    one_ = ledger_->total();
    (*one).reset();
    ASSERT_EQ(ledger_->total(), 0u) << "what is unloaded gives everything back";
  }

  Result<std::unique_ptr<ServedModel>> load(const std::string& name) {
    auto served = std::make_unique<ServedModel>();
    served->name = name;
    KL_ASSIGN(served->model, Model::load(path_, {}, *ledger_));
    served->tokenizer = &*tokenizer_;
    // Beside its pages of keys and values it is as large as a model is; memory that is never touched costs nothing.
    KL_ASSIGN(Block weights, Block::allocate(uint64_t{64} << 20, MemoryUse::weights, *ledger_));
    served->drafter = [held = std::make_shared<Block>(std::move(weights))] { return nullptr; };
    KL_ASSIGN(served->runner,
              Runner::create(*served->model, {.threads = 1, .context = 300, .batch_tokens = 16, .outputs = 4}));
    KL_ASSIGN(served->scheduler,
              Scheduler::create(*served->runner, *tokenizer_,
                                {.parallel = 2, .chunk = 8, .more_memory = [this] { return shelf_.make_room(); }}));
    return served;
  }
  /// As many models, with room for `room` of them.
  void fill(const std::vector<std::string>& names, double room) {
    ledger_.emplace(static_cast<uint64_t>(room * static_cast<double>(one_)));
    for (const std::string& name : names) ASSERT_TRUE(shelf_.add({name, {}, [this, name] { return load(name); }}).ok());
  }
  std::shared_ptr<Collector> submit(ServedModel& model, const std::string& text, int64_t tokens = 4) {
    auto sink = std::make_shared<Collector>();
    GenerateOptions options{.max_tokens = tokens};
    options.sampling.temperature = 0;
    options.sampling.logit_bias[2] = -std::numeric_limits<float>::infinity();  // no end
    const auto ticket =
        model.scheduler->submit({.prompt = tokenizer_->encode(text), .options = std::move(options), .sink = sink});
    EXPECT_TRUE(ticket.ok()) << ticket.status().text();
    return sink;
  }
  std::string ask(ServedModel& model, const std::string& text) {
    const auto sink = submit(model, text);
    EXPECT_TRUE(sink->wait().ok());
    return sink->answers[0].text;
  }
  std::string loaded() const {
    std::string out;
    for (const auto& model : shelf_.list()) out += model.loaded ? model.name : "";
    return out;
  }
  ChosenModel take(const std::string& name) {
    auto taken = shelf_.take(name);
    EXPECT_TRUE(std::holds_alternative<ChosenModel>(taken)) << std::get<ApiError>(taken).message;
    return std::get<ChosenModel>(std::move(taken));
  }
  ApiError refused(const std::string& name) {
    const auto taken = shelf_.take(name);
    EXPECT_TRUE(std::holds_alternative<ApiError>(taken));
    return std::holds_alternative<ApiError>(taken) ? std::get<ApiError>(taken) : ApiError{};
  }

  const std::string path_ = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/qwen2.5";
  std::optional<Tokenizer> tokenizer_;
  std::optional<Ledger> ledger_;
  uint64_t one_ = 0;  ///< bytes of a model that has answered
  ModelShelf shelf_;  ///< the last: what it holds lives on the others
  std::vector<std::pair<std::string, Status>> failures_;
};

TEST_F(ModelShelfTest, LoadsAtNeedAndUnloadsTheOneUnusedForLongest) {
  fill({"a", "b", "c"}, 2.5);
  ASSERT_TRUE(shelf_.load_all(failures_).ok());
  EXPECT_TRUE(failures_.empty());
  EXPECT_EQ(loaded(), "ab") << "all were loaded once, and two fit";
  for (const auto& model : shelf_.list()) EXPECT_EQ(model.facts.context, 300) << model.name;
  EXPECT_FALSE(shelf_.would_load("a"));
  EXPECT_TRUE(shelf_.would_load("c"));
  EXPECT_EQ(take("").name, "a");
  EXPECT_EQ(take("c").name, "c");
  EXPECT_EQ(loaded(), "ac");
  const std::string answer = ask(*take("b").model, "Hello");
  EXPECT_EQ(loaded(), "bc") << "a was unused for longest";
  EXPECT_LE(ledger_->total(), ledger_->limit());
  EXPECT_EQ(ask(*take("a").model, "Hello"), answer) << "the same weights, loaded anew";
  EXPECT_EQ(loaded(), "ab");
  EXPECT_EQ(shelf_.counts().unloads, 4u);
  EXPECT_EQ(shelf_.counts().loads, 6u);
  EXPECT_EQ(refused("d").status, 404);
  EXPECT_FALSE(shelf_.add({"a", {}, {}}).ok());
}

TEST_F(ModelShelfTest, WhoAnswersStays) {
  fill({"a", "b", "c"}, 2.5);
  ASSERT_TRUE(shelf_.load_all(failures_).ok());
  const ChosenModel a = take("a");
  auto b = std::make_unique<ChosenModel>(take("b"));
  const auto running = submit(*a.model, "Hello", 200);
  const ApiError error = refused("c");
  EXPECT_EQ(error.status, 503);
  EXPECT_EQ(error.code, "overloaded");
  EXPECT_EQ(loaded(), "ab");
  b.reset();
  EXPECT_EQ(take("c").name, "c");
  EXPECT_EQ(loaded(), "ac");
  EXPECT_TRUE(running->wait().ok());
  EXPECT_EQ(running->answers[0].ids.size(), 200u);
}

TEST_F(ModelShelfTest, ABrokenFileIsTheFaultOfItsModelAlone) {
  fill({"a", "b"}, 2.5);
  bool broken = true;
  ASSERT_TRUE(shelf_
                  .add({"broken",
                        {},
                        [&]() -> Result<std::unique_ptr<ServedModel>> {
                          if (broken) return error(Code::corrupt, "/secret/path: not a model");
                          return load("broken");
                        }})
                  .ok());
  ASSERT_TRUE(shelf_.load_all(failures_).ok());
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_EQ(failures_[0].first, "broken");
  const ApiError error = refused("broken");
  EXPECT_EQ(error.status, 500);
  EXPECT_EQ(error.code, "model_unavailable");
  EXPECT_EQ(error.message.find("secret"), std::string::npos);
  EXPECT_EQ(loaded(), "ab") << "nobody was unloaded for it";
  broken = false;
  EXPECT_EQ(take("broken").name, "broken") << "mended, it is loaded";
}

TEST_F(ModelShelfTest, WhatNeverFitsDrivesNobodyOutTwice) {
  fill({"a", "b"}, 2.5);
  ASSERT_TRUE(
      shelf_
          .add({"large",
                {},
                []() -> Result<std::unique_ptr<ServedModel>> { return Status(Code::resource_exhausted, "too large"); }})
          .ok());
  ASSERT_TRUE(shelf_.load_all(failures_).ok());
  EXPECT_EQ(failures_.size(), 1u);
  EXPECT_EQ(loaded(), "ab");
  EXPECT_EQ(refused("large").status, 500);
  EXPECT_EQ(loaded(), "ab");
  ModelShelf alone;
  ASSERT_TRUE(alone.add({"large", {}, [] { return Status(Code::resource_exhausted, "too large"); }}).ok());
  EXPECT_EQ(alone.load_all(failures_).code(), Code::resource_exhausted) << "nothing is left to serve";
}

// Keys and values of those that answer come before models that do not.
TEST_F(ModelShelfTest, AnIdleModelGivesWayToAnAnswer) {
  fill({"a", "b"}, 2.5);
  ASSERT_TRUE(shelf_.load_all(failures_).ok());
  const ChosenModel a = take("a");
  ASSERT_TRUE(ledger_->reserve(MemoryUse::other, ledger_->limit() - ledger_->total()).ok());
  const auto sink = submit(*a.model, std::string(200, 'x'), 50);
  EXPECT_TRUE(sink->wait().ok());
  EXPECT_EQ(loaded(), "a");
  EXPECT_EQ(a.model->scheduler->stats().preemptions, 0u);
}

TEST_F(ModelShelfTest, ManyThreadsAskForManyModels) {
  fill({"a", "b", "c", "d"}, 2.5);
  ASSERT_TRUE(shelf_.load_all(failures_).ok());
  const std::string wanted = ask(*take("a").model, "Hello");
  std::atomic<int> answered{0}, refusals{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t i = 0; i < 12; ++i) {
        const std::string name(1, static_cast<char>('a' + (t * 5 + i * 7) % 4));
        const auto taken = shelf_.take(name);
        if (const auto* chosen = std::get_if<ChosenModel>(&taken)) {
          EXPECT_EQ(ask(*chosen->model, "Hello"), wanted);
          ++answered;
        } else {
          EXPECT_EQ(std::get<ApiError>(taken).status, 503);
          ++refusals;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered + refusals, 48);
  EXPECT_GT(answered, 12);
  EXPECT_LE(ledger_->total(), ledger_->limit());
  shelf_.stop();
}

}  // namespace
}  // namespace kinglet::server
