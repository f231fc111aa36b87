// The real models against what transformers computes from the same weights in f32 (shared/fixtures/real).
// Models are looked for in the cache folder (KINGLET_HOME); absent ones are skipped by name.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/score.h"
#include "engine/session.h"
#include "formats/json.h"
#include "host/file.h"
#include "hub/home.h"
#include "kernels/testing.h"

namespace kinglet {
namespace {

struct RealModel {
  std::string name;        ///< of the file, less .gguf
  double most_difference;  ///< mean |difference of the reference's top log probability|
  double least_agreement;  ///< of the most probable token, percent
};

void PrintTo(const RealModel& model, std::ostream* out) { *out << model.name; }

/// The reference leads by more than this: every kernel must agree.
constexpr double kClearLead = 1.0;

struct Reference {
  std::vector<TokenId> ids;
  std::vector<std::vector<TokenScore>> top;  ///< of each position, best first
  std::vector<TokenId> greedy;
};

std::vector<Reference> read_references(const std::string& path) {
  const auto json = read_json(path);
  EXPECT_TRUE(json.ok()) << json.status().text();
  std::vector<Reference> out;
  if (!json.ok()) return out;
  for (const Json& item : *json) {
    Reference r{item["ids"].get<std::vector<TokenId>>(), {}, item["greedy"].get<std::vector<TokenId>>()};
    for (const Json& position : item["top5"]) {
      auto& scores = r.top.emplace_back();
      for (const Json& pair : position) scores.push_back({pair[0].get<TokenId>(), pair[1].get<double>()});
    }
    out.push_back(std::move(r));
  }
  return out;
}

struct Agreement {
  int64_t positions = 0, same = 0, clear = 0, clear_same = 0;
  double difference = 0;  ///< sum
};

class RealModelAccuracy : public testing::TestWithParam<std::tuple<RealModel, std::string>> {
 protected:
  void SetUp() override {
    const auto& [real, kernels] = GetParam();
    const std::string fixture = std::string(KINGLET_SHARED_DIR) + "/fixtures/real/" + real.name + ".json";
    if (!is_file(fixture)) GTEST_SKIP() << "shared fixture is absent: " << fixture;
    const auto models = hub::models_directory();
    const std::string path = models.ok() ? (*models / (real.name + ".gguf")).string() : std::string();
    if (!is_file(path)) GTEST_SKIP() << "model is not in the cache: " << real.name << ".gguf";
    if (find_kernels(kernels.c_str()) == nullptr) GTEST_SKIP() << "this processor has no " << kernels << " kernels";
    references_ = read_references(fixture);
    auto model = Model::load(path, {.kernels = kernels}, ledger_);
    ASSERT_TRUE(model.ok()) << model.status().text();
    model_ = *std::move(model);
    auto runner = Runner::create(*model_, {.threads = 2, .context = 256, .batch_tokens = 128, .outputs = 128});
    ASSERT_TRUE(runner.ok()) << runner.status().text();
    runner_ = *std::move(runner);
    const auto tokenizer = model_->tokenizer();
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
    adds_bos_ = (*tokenizer)->adds_bos();
  }

  // Position 0 is an attention sink where no BOS stands there: small errors are large.
  void compare(const Reference& r, Agreement& into) {
    KvSequence kv = runner_->new_sequence();
    const BatchPart part{&kv, r.ids, Outputs::all, false};
    const Status status = runner_->run({&part, 1});
    ASSERT_TRUE(status.ok()) << status.text();
    ASSERT_EQ(r.top.size(), r.ids.size());
    for (size_t i = adds_bos_ ? 0 : 1; i < r.ids.size(); ++i) {
      const auto logits = runner_->logits(static_cast<int64_t>(i));
      const TokenScore best = r.top[i][0];
      const bool same = best_token(logits) == best.id,
                 clear = best.log_probability - r.top[i][1].log_probability > kClearLead;
      into.difference += std::abs(log_probability(logits, best.id) - best.log_probability);
      ++into.positions;
      into.same += same ? 1 : 0;
      into.clear += clear ? 1 : 0;
      into.clear_same += clear && same ? 1 : 0;
    }
  }

  std::vector<Reference> references_;
  Ledger ledger_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Runner> runner_;
  bool adds_bos_ = false;
};

TEST_P(RealModelAccuracy, LogProbabilitiesAreTransformers) {
  Agreement all;
  for (const Reference& r : references_) compare(r, all);
  ASSERT_GT(all.positions, 0);
  const RealModel& real = std::get<0>(GetParam());
  const double difference = all.difference / static_cast<double>(all.positions);
  const double agreement = 100.0 * static_cast<double>(all.same) / static_cast<double>(all.positions);
  std::printf(
      "%s, %s kernels: mean difference %.4f (at most %.3f), same best token %.2f %% (at least %.0f %%), %lld of %lld "
      "clear ones\n",
      real.name.c_str(), model_->kernels().name, difference, real.most_difference, agreement, real.least_agreement,
      static_cast<long long>(all.clear_same), static_cast<long long>(all.clear));
  EXPECT_LE(difference, real.most_difference);
  EXPECT_GE(agreement, real.least_agreement);
  EXPECT_EQ(all.clear_same, all.clear);
}

// The reference's 24 greedy tokens, fed one by one. Its margins are not recorded: a different token is allowed only where our own lead over
// the reference's token is small, which is where rounding decides.
TEST_P(RealModelAccuracy, GreedyTokensAgreeWhereTheLeadIsClear) {
  constexpr double kRounding = 0.5;
  int64_t same = 0, total = 0;
  for (const Reference& r : references_) {
    Session session(*runner_);
    Status status = session.append(r.ids);
    ASSERT_TRUE(status.ok()) << status.text();
    for (const TokenId want : r.greedy) {
      const auto logits = session.next_logits();
      const TokenId best = best_token(logits);
      const double lead = static_cast<double>(logits[static_cast<size_t>(best)]) -
                          static_cast<double>(logits[static_cast<size_t>(want)]);
      EXPECT_LE(lead, kRounding) << "after " << session.length() << " tokens: " << best << " instead of " << want;
      ++total;
      same += best == want ? 1 : 0;
      status = session.append({&want, 1});
      ASSERT_TRUE(status.ok()) << status.text();
    }
  }
  std::printf("%s, %s kernels: %lld of %lld greedy tokens\n", std::get<0>(GetParam()).name.c_str(),
              model_->kernels().name, static_cast<long long>(same), static_cast<long long>(total));
}

// The reference row computes the same numbers, minutes slower: the tiny models hold it.
std::vector<std::string> fast_kernels() {
  std::vector<std::string> out = kernel_names();
  std::erase(out, "ref");
  return out;
}

INSTANTIATE_TEST_SUITE_P(RealModels, RealModelAccuracy,
                         testing::Combine(testing::Values(RealModel{"gemma-3-270m-q4_k_m", 0.056, 94},
                                                          RealModel{"qwen2.5-coder-0.5b-instruct-q4_k_m", 0.024, 97}),
                                          testing::ValuesIn(fast_kernels())),
                         [](const auto& param_info) {
                           std::string name = std::get<0>(param_info.param).name + "_" + std::get<1>(param_info.param);
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
                           return name;
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealModelAccuracy);

}  // namespace
}  // namespace kinglet
