// Chooses the next token from logits.
//
// The steps, in this order (llama.cpp's; transformers applies the temperature before top-k instead of last):
//   1. penalties on tokens of the window: repetition, then frequency and presence
//   2. logit bias, so that what a caller says of a token holds whatever was said before
//   3. temperature 0 ends here: the likeliest token, of several equal ones the one with the lowest id
//   4. top-k   5. typical   6. top-p   7. min-p   8. temperature   9. the draw
// Each filter sees the probabilities (at temperature 1) of what the filters before it left, renormalized, and leaves at
// least one token.
//
// The draw for a token depends on the seed, on the token's position and on the logits, and on nothing else: a session
// that was saved and restored goes on as it would have, and so does a request whose batch changes. Probabilities are
// summed as whole numbers (fixed point, 2^-36 of the likeliest), so that no sum depends on its order: the same seed and
// logits give the same token on every platform.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {

/// The defaults are those of the program's commands.
struct SamplingOptions {
  float temperature = 0.7f;  ///< divides the logits; 0: always the likeliest token; at most 100
  int32_t top_k = 40;        ///< only the k likeliest; 0: all
  float top_p = 0.95f;       ///< only the likeliest that hold this probability together; 1: all
  float min_p = 0.05f;       ///< only those with at least this share of the likeliest one's probability; 0: all
  float typical_p = 1.0f;  ///< only those nearest to the expected surprise that hold this probability together; 1: all
  float repetition_penalty =
      1.0f;  ///< divides positive logits of tokens in the window, multiplies negative ones; 0.01 to 100; 1: none
  float presence_penalty = 0.0f;        ///< taken once off the logit of a token in the window; -100 to 100
  float frequency_penalty = 0.0f;       ///< taken off for each time the token is in the window; -100 to 100
  int32_t penalty_window = 64;          ///< last tokens, of prompt and answer, that penalties look at; 0: none; -1: all
  std::map<TokenId, float> logit_bias;  ///< added to a token's logit; minus infinity bans the token
  uint64_t seed = 0;
};

/// One sampler serves one sequence at a time: it keeps working memory, and no state that the next token depends on.
class Sampler {
 public:
  /// Errors: invalid_argument naming the option, its value and what is allowed.
  static Result<Sampler> create(const SamplingOptions& options, int32_t vocab_size);

  const SamplingOptions& options() const { return options_; }

  /// The token after `tokens` (all of the sequence so far), given its V logits; where `allowed` is not empty, only a token
  /// whose bit is set in it (bit id % 64 of word id / 64). Errors: invalid_argument where the logit bias, or that and
  /// `allowed`, ban every token. A logit that is not a number counts as banned.
  Result<TokenId> sample(std::span<const float> logits, std::span<const TokenId> tokens,
                         std::span<const uint64_t> allowed = {});

  /// How many tokens the last sample() drew from, after the filters.
  size_t candidates() const { return candidates_.size(); }

 private:
  struct Candidate {
    float logit;
    TokenId id;
    uint64_t weight;  ///< fixed-point probability, relative to the likeliest token's
  };
  explicit Sampler(const SamplingOptions& options) : options_(options) {}

  void adjust(std::span<const float> logits, std::span<const TokenId> tokens, std::span<const uint64_t> allowed);
  void ban_all_but(std::span<const uint64_t> allowed);
  TokenId likeliest() const;
  void gather();
  void gather_top_k(size_t k);
  void gather_above(float margin);
  void gather_for_top_p();
  void weigh(float temperature);
  uint64_t candidate_weight() const;
  void keep_typical();
  void keep_top_p();
  void keep_min_p();
  template <typename Before>
  void keep_share(double share, Before before);
  TokenId draw(size_t position);

  SamplingOptions options_;
  std::vector<float> logits_;  ///< after penalties and bias
  std::vector<Candidate> candidates_, scratch_;
  std::vector<TokenId> window_;
  float max_ = 0;       ///< of logits_
  uint64_t total_ = 0;  ///< weight of all that the filters before left: candidates_, and what gather() passed over
};

}  // namespace kinglet
