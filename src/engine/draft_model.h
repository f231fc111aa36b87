// Guesses by a smaller model with the same vocabulary.
#pragma once

#include "engine/drafter.h"
#include "engine/sampler.h"
#include "engine/session.h"

namespace kinglet {

/// Draws with the same options and seed as the large model does: the draw for a position is then the same number for both, and they agree
/// more often than two independent draws would.
class ModelDrafter final : public Drafter {
 public:
  /// `runner` must outlive it. Errors: invalid_argument (options).
  static Result<std::unique_ptr<ModelDrafter>> create(Runner& runner, const SamplingOptions& options);

  std::string_view name() const override { return "model"; }
  int look(std::span<const TokenId> tokens) override;
  Result<std::span<const TokenId>> guess(int64_t count) override;

 private:
  ModelDrafter(Runner& runner, Sampler sampler) : session_(runner), sampler_(std::move(sampler)) {}
  Status catch_up();

  Session session_;
  Sampler sampler_;
  std::span<const TokenId> tokens_;
  std::vector<TokenId> guess_;
};

/// Whether a guess of one means what the other takes it for. Errors: invalid_argument naming the first token that differs.
Status check_same_vocabulary(const Tokenizer& large, const Tokenizer& small);

}  // namespace kinglet
