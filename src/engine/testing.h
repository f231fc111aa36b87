// A tiny model with a vocabulary of single bytes, for tests. For x_test.cc files only.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "engine/drafter.h"
#include "engine/session.h"
#include "tokenizer/testing.h"

namespace kinglet {

/// Guesses what follows in `sequence`, every few tokens wrongly.
class Oracle final : public Drafter {
 public:
  Oracle(std::vector<TokenId> sequence, int wrong_every) : sequence_(std::move(sequence)), wrong_every_(wrong_every) {}
  std::string_view name() const override { return "oracle"; }
  int look(std::span<const TokenId> tokens) override { return at_ = tokens.size(), 3; }
  Result<std::span<const TokenId>> guess(int64_t count) override {
    guess_.clear();
    for (size_t i = at_; i < std::min(sequence_.size(), at_ + static_cast<size_t>(count)); ++i)
      guess_.push_back(++asked_ % wrong_every_ == 0 ? 65 : sequence_[i]);
    return std::span<const TokenId>(guess_);
  }

 private:
  std::vector<TokenId> sequence_, guess_;
  size_t at_ = 0;
  int wrong_every_, asked_ = 0;
};

/// Logits after `tokens` as a sequence of their own. Empty, and a failure, where the batch fails.
inline std::vector<float> logits_after(Runner& runner, std::span<const TokenId> tokens) {
  KvSequence kv = runner.new_sequence();
  const BatchPart part{&kv, tokens, Outputs::last, false};
  const Status status = runner.run({&part, 1});
  EXPECT_TRUE(status.ok()) << status.text();
  if (!status.ok()) return {};
  const auto row = runner.logits(0);
  return {row.begin(), row.end()};
}

/// SetUp() skips by name where the shared fixtures are absent.
class TinyModel : public testing::Test {
 protected:
  void SetUp() override { open("qwen2.5", {}); }

  void open(const std::string& name, RunnerOptions options, const ModelOptions& model_options = {}) {
    const std::string path = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/" + name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "shared fixture is absent: " << path;
    auto tokenizer = byte_tokenizer();
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().text();
    tokenizer_.emplace(*std::move(tokenizer));
    auto model = Model::load(path, model_options, ledger_);
    ASSERT_TRUE(model.ok()) << model.status().text();
    models_.push_back(*std::move(model));
    model_ = models_.back().get();
    options.threads = 1;
    auto runner = Runner::create(*model_, options);
    ASSERT_TRUE(runner.ok()) << runner.status().text();
    runners_.push_back(*std::move(runner));
    runner_ = runners_.back().get();
  }

  Ledger ledger_;
  std::optional<Tokenizer> tokenizer_;
  Model* model_ = nullptr;
  Runner* runner_ = nullptr;

 private:
  // Those that a test opened before are kept: its sessions may still hold pages of theirs.
  std::vector<std::unique_ptr<Model>> models_;
  std::vector<std::unique_ptr<Runner>> runners_;
};

}  // namespace kinglet
