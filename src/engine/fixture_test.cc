// Parity with transformers on the tiny random models: logits, greedy decoding, and any way of cutting the batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "arch/testing.h"
#include "engine/score.h"
#include "engine/session.h"

namespace kinglet {
namespace {

const std::string kFixtures = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/";

struct Golden {
  safetensors::File file;
  std::vector<TokenId> ids(int64_t row) const {
    const auto* t = file.find("input_ids");
    std::vector<TokenId> out;
    for (int64_t i = 0; i < t->shape[1]; ++i) {
      int64_t id = 0;
      std::memcpy(&id, t->data.data() + (row * t->shape[1] + i) * 8, 8);
      out.push_back(static_cast<TokenId>(id));
    }
    return out;
  }
  std::vector<TokenId> greedy() const {
    std::vector<TokenId> out;
    const auto* t = file.find("greedy");
    if (t == nullptr) return out;
    for (int64_t i = 0; i < t->shape[1]; ++i) {
      int64_t id = 0;
      std::memcpy(&id, t->data.data() + i * 8, 8);
      out.push_back(static_cast<TokenId>(id));
    }
    return out;
  }
  // (rows, V) of sequence `row` of the tensor `name` (1 or 2, T, V).
  const float* logits(const char* name, int64_t row) const {
    const auto* t = file.find(name);
    return reinterpret_cast<const float*>(t->data.data()) + row * t->shape[1] * t->shape[2];
  }
};

struct Loaded {
  Ledger ledger;
  std::unique_ptr<Model> model;
  std::unique_ptr<Runner> runner;
};

class DecoderFixture : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const auto& [name, kernels] = GetParam();
    if (!std::filesystem::exists(kFixtures)) GTEST_SKIP() << "shared fixtures are absent: " << kFixtures;
    if (find_kernels(kernels.c_str()) == nullptr) GTEST_SKIP() << "this processor has no " << kernels;
    auto golden = safetensors::File::open(kFixtures + name + "/golden.safetensors");
    ASSERT_TRUE(golden.ok()) << golden.status().text();
    golden_.emplace(Golden{*std::move(golden)});
    auto model = Model::load(kFixtures + name, {.kernels = kernels}, at_.ledger);
    ASSERT_TRUE(model.ok()) << model.status().text();
    at_.model = *std::move(model);
    V_ = at_.model->hyper().V;
  }
  void make_runner(int threads, Fusion fusion) {
    auto runner = Runner::create(*at_.model, {.threads = threads, .batch_tokens = 64, .outputs = 64, .fusion = fusion});
    ASSERT_TRUE(runner.ok()) << runner.status().text();
    at_.runner = *std::move(runner);
  }
  // Logits of every position, evaluated `chunk` tokens at a time.
  std::vector<float> all_logits(const std::vector<TokenId>& ids, size_t chunk) {
    KvSequence kv = at_.runner->new_sequence();
    const bool long_rope = static_cast<int64_t>(ids.size()) > at_.model->original_context();
    std::vector<float> out;
    for (size_t i = 0; i < ids.size(); i += chunk) {
      const size_t n = std::min(chunk, ids.size() - i);
      const BatchPart part{&kv, std::span(ids).subspan(i, n), Outputs::all, long_rope};
      const Status status = at_.runner->run({&part, 1});
      EXPECT_TRUE(status.ok()) << status.text();
      for (size_t j = 0; j < n; ++j) {
        const auto row = at_.runner->logits(static_cast<int64_t>(j));
        out.insert(out.end(), row.begin(), row.end());
      }
    }
    return out;
  }
  static double worst(const std::vector<float>& got, const float* want) {
    double most = 0;
    for (size_t i = 0; i < got.size(); ++i) most = std::max(most, std::abs(double{got[i]} - double{want[i]}));
    return most;
  }

  Loaded at_;
  std::optional<Golden> golden_;
  int64_t V_ = 0;
};

TEST_P(DecoderFixture, LogitsAreTransformers) {
  for (Fusion fusion : {Fusion::on, Fusion::off}) {
    make_runner(2, fusion);
    for (int64_t row : {0, 1})
      EXPECT_LE(worst(all_logits(golden_->ids(row), 64), golden_->logits("logits", row)), 2e-4);
    auto first12 = golden_->ids(0);
    first12.resize(12);
    EXPECT_LE(worst(all_logits(first12, 64), golden_->logits("logits_first12", 0)), 2e-4);
  }
}

TEST_P(DecoderFixture, AnyCutOfThePromptGivesTheSameLogits) {
  make_runner(2, Fusion::on);
  const auto whole = all_logits(golden_->ids(0), 64);
  for (size_t chunk : {size_t{1}, size_t{2}, size_t{5}, size_t{7}, size_t{17}})
    EXPECT_EQ(all_logits(golden_->ids(0), chunk), whole) << "to the last bit, in chunks of " << chunk;
}

TEST_P(DecoderFixture, ThreadsDoNotChangeABit) {
  make_runner(1, Fusion::on);
  const auto one = all_logits(golden_->ids(1), 64);
  for (int threads : {2, 3, 5}) {
    make_runner(threads, Fusion::on);
    EXPECT_EQ(all_logits(golden_->ids(1), 64), one) << threads;
  }
}

TEST_P(DecoderFixture, SequencesInOneBatchDoNotTouchEachOther) {
  make_runner(2, Fusion::on);
  const auto a = golden_->ids(0), b = golden_->ids(1);
  const auto alone = all_logits(b, 64);
  KvSequence ka = at_.runner->new_sequence(), kb = at_.runner->new_sequence();
  const bool long_rope = static_cast<int64_t>(b.size()) > at_.model->original_context();
  const BatchPart parts[] = {{&ka, std::span(a).first(20), Outputs::none, long_rope},
                             {&kb, b, Outputs::all, long_rope}};
  ASSERT_TRUE(at_.runner->run(parts).ok());
  std::vector<float> mixed;
  for (size_t i = 0; i < b.size(); ++i) {
    const auto row = at_.runner->logits(static_cast<int64_t>(i));
    mixed.insert(mixed.end(), row.begin(), row.end());
  }
  EXPECT_EQ(mixed, alone) << "to the last bit";
}

// Behind the last attention only rows whose logits are wanted are computed (arch/select_early.h).
TEST_P(DecoderFixture, ARowsLogitsDoNotDependOnWhichOthersAreWanted) {
  make_runner(2, Fusion::on);
  const auto ids = golden_->ids(0);
  const auto all = all_logits(ids, 64);
  const bool long_rope = static_cast<int64_t>(ids.size()) > at_.model->original_context();
  KvSequence kv = at_.runner->new_sequence();
  const BatchPart parts[] = {{&kv, std::span(ids).first(9), Outputs::none, long_rope},
                             {&kv, std::span(ids).subspan(9), Outputs::last, long_rope}};
  for (const BatchPart& part : parts) ASSERT_TRUE(at_.runner->run({&part, 1}).ok());
  const auto last = at_.runner->logits(0);
  EXPECT_EQ(std::vector<float>(last.begin(), last.end()), std::vector<float>(all.end() - V_, all.end()));
}

TEST_P(DecoderFixture, GreedyIsTransformersTokenForToken) {
  // The whole greedy sequence: 12 tokens of the prompt, then 20 that follow.
  const auto want = golden_->greedy();
  if (want.empty()) {  // the model would cross its original context, where transformers changes the factors midway
    EXPECT_LT(at_.model->original_context(), 32);
    return;
  }
  make_runner(2, Fusion::on);
  Session session(*at_.runner);
  ASSERT_TRUE(session.append(std::span(want).first(12)).ok());
  for (size_t i = 12; i < want.size(); ++i) {
    const TokenId best = best_token(session.next_logits());
    ASSERT_EQ(best, want[i]) << "position " << i;
    ASSERT_TRUE(session.append({&best, 1}).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DecoderFixture, decoders_and_kernels(), decoder_and_kernel_name);

}  // namespace
}  // namespace kinglet
