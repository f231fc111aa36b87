// Who guesses the tokens that come next, for speculation (engine/speculator.h). A guess can only cost time: what a model
// answers never depends on it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "tokenizer/token.h"

namespace kinglet {

class Drafter {
 public:
  virtual ~Drafter() = default;
  virtual std::string_view name() const = 0;

  /// Looks at a whole sequence. Answers how much a guess about its next tokens is worth, in one of kTrusts classes (the higher, the
  /// better; guesses of one class come true alike often), or kNoIdea. `tokens` stay where they are until guess() has been called.
  static constexpr int kTrusts = 4, kNoIdea = -1;
  virtual int look(std::span<const TokenId> tokens) = 0;
  /// At most `count` tokens that may follow what look() was shown; good until the next look(). Errors: those of a model that guesses.
  virtual Result<std::span<const TokenId>> guess(int64_t count) = 0;
};

/// Prompt lookup: where the last tokens stood before in prompt or answer, what followed them there is likely to follow again. (Saxena,
/// "Prompt Lookup Decoding", 2023.) Of the earlier places that agree on the last two tokens it takes the one that agrees furthest back,
/// and of several the latest. The class is the length of the agreement: 2, 3, 4 to 7, 8 and more tokens.
class NgramDrafter final : public Drafter {
 public:
  std::string_view name() const override { return "ngram"; }
  int look(std::span<const TokenId> tokens) override;
  Result<std::span<const TokenId>> guess(int64_t count) override;

 private:
  void index(std::span<const TokenId> tokens);
  int64_t agreement(std::span<const TokenId> tokens, int64_t place) const;

  std::span<const TokenId> tokens_;
  int64_t place_ = 0;  ///< where what followed begins
  std::vector<TokenId> guess_;
  // For each pair of tokens the position after its latest occurrence, and for each position the one before with the same pair.
  std::unordered_map<uint64_t, int32_t> latest_;
  std::vector<int32_t> before_;
};

}  // namespace kinglet
