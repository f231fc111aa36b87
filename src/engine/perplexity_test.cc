#include "engine/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "engine/score.h"

namespace kinglet {
namespace {

TEST(PerplexitySums, AreMeanAndStandardError) {
  // 1, 2 and 3 nats: mean 2, variance 2/3 over n, standard error of the mean sqrt((2/3) / 2).
  const Perplexity p{.chunks = 1, .tokens = 3, .sum = 6, .squares = 14};
  EXPECT_DOUBLE_EQ(p.mean_nll(), 2.0);
  EXPECT_DOUBLE_EQ(p.value(), std::exp(2.0));
  EXPECT_NEAR(p.standard_error(), std::exp(2.0) * std::sqrt(1.0 / 3.0), 1e-12);
}

TEST(PerplexitySums, OneTokenHasNoError) {
  EXPECT_EQ((Perplexity{.chunks = 1, .tokens = 1, .sum = 2, .squares = 4}).standard_error(), 0.0);
}

class PerplexityOf : public testing::Test {
 protected:
  void SetUp() override {
    const std::string path = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/llama-3.2";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "shared fixtures are absent: " << path;
    auto model = Model::load(path, {}, ledger_);
    ASSERT_TRUE(model.ok()) << model.status().text();
    model_ = *std::move(model);
    std::mt19937 random(7);
    for (int i = 0; i < 50; ++i)
      ids_.push_back(static_cast<TokenId>(random() % static_cast<uint32_t>(model_->hyper().V)));
  }
  std::unique_ptr<Runner> runner(int64_t batch, int64_t outputs) {
    auto r = Runner::create(*model_, {.threads = 2, .context = 16, .batch_tokens = batch, .outputs = outputs});
    EXPECT_TRUE(r.ok()) << r.status().text();
    return *std::move(r);
  }
  // The definition, token by token.
  double mean_nll(int64_t chunks, std::optional<TokenId> bos) {
    const auto r = runner(16, 16);
    double sum = 0;
    for (int64_t c = 0; c < chunks; ++c) {
      std::vector<TokenId> chunk(ids_.begin() + 16 * c, ids_.begin() + 16 * (c + 1));
      if (bos) chunk[0] = *bos;
      KvSequence kv = r->new_sequence();
      const BatchPart part{&kv, chunk, Outputs::all, false};
      EXPECT_TRUE(r->run({&part, 1}).ok());
      for (int64_t i = 8; i < 15; ++i) sum -= log_probability(r->logits(i), chunk[static_cast<size_t>(i + 1)]);
    }
    return sum / static_cast<double>(7 * chunks);
  }

  Ledger ledger_;
  std::unique_ptr<Model> model_;
  std::vector<TokenId> ids_;
};

TEST_F(PerplexityOf, ChunksAreScoredInTheirSecondHalf) {
  for (const std::optional<TokenId> bos : {std::optional<TokenId>(), std::optional<TokenId>(3)}) {
    for (const auto& [batch, outputs] : {std::pair(16, 16), std::pair(16, 3), std::pair(3, 3), std::pair(5, 2)}) {
      const auto got = perplexity(*runner(batch, outputs), ids_, bos, {.context = 16});
      ASSERT_TRUE(got.ok()) << got.status().text();
      EXPECT_EQ(got->chunks, 3);
      EXPECT_EQ(got->tokens, 21);
      EXPECT_NEAR(got->mean_nll(), mean_nll(3, bos), 1e-5) << batch << " " << outputs;
    }
  }
}

TEST_F(PerplexityOf, EveryTokenIsScoredOnceWithTheLongestWindowBeforeIt) {
  const auto r = runner(16, 16);
  for (const size_t count : {2, 9, 16, 17, 24, 25, 50}) {
    const auto text = std::span<const TokenId>(ids_).first(count);
    double sum = 0;
    for (size_t t = 1; t < count; ++t) {  // token t's window begins at a multiple of 8 and ends after it
      const size_t begin = t < 16 ? 0 : (t - 8) / 8 * 8;
      KvSequence kv = r->new_sequence();
      const BatchPart part{&kv, text.subspan(begin, t - begin), Outputs::last, false};
      ASSERT_TRUE(r->run({&part, 1}).ok());
      sum -= log_probability(r->logits(0), text[t]);
    }
    const auto got = perplexity(*runner(16, 4), text, {}, {.scored = Scored::every_token, .context = 16});
    ASSERT_TRUE(got.ok()) << got.status().text();
    EXPECT_EQ(got->tokens, static_cast<int64_t>(count) - 1);
    EXPECT_NEAR(got->sum, sum, 1e-4) << count;
  }
}

TEST_F(PerplexityOf, FewerChunksAndProgress) {
  int calls = 0;
  const auto got = perplexity(*runner(16, 4), ids_, {},
                              {.context = 16, .chunks = 2, .progress = [&](const Perplexity& p, int64_t chunks) {
                                 EXPECT_EQ(p.chunks, ++calls);
                                 EXPECT_EQ(chunks, 2);
                                 return true;
                               }});
  ASSERT_TRUE(got.ok()) << got.status().text();
  EXPECT_EQ(calls, 2);
  EXPECT_NEAR(got->mean_nll(), mean_nll(2, {}), 1e-5);
}

TEST_F(PerplexityOf, Refusals) {
  const auto r = runner(16, 4);
  const auto code = [&](size_t tokens, const PerplexityOptions& options) {
    return perplexity(*r, std::span(ids_).first(tokens), {}, options).status().code();
  };
  EXPECT_EQ(code(31, {.context = 16}), Code::invalid_argument);
  EXPECT_EQ(code(50, {.context = 3}), Code::invalid_argument);
  EXPECT_EQ(code(50, {.context = 17}), Code::out_of_range);
  EXPECT_EQ(code(50, {.context = 16, .progress = [](const Perplexity&, int64_t) { return false; }}), Code::cancelled);
}

}  // namespace
}  // namespace kinglet
