// What logits say: log probabilities of tokens, the most probable ones.
#pragma once

#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace kinglet {

struct TokenScore {
  TokenId id;
  double log_probability;
};

/// log(sum(exp(logits))), in double precision.
double log_sum_exp(std::span<const float> logits);
inline double log_probability(std::span<const float> logits, TokenId id) {
  return static_cast<double>(logits[static_cast<size_t>(id)]) - log_sum_exp(logits);
}
/// The `k` most probable tokens, best first; of equal ones the lower id.
std::vector<TokenScore> most_probable(std::span<const float> logits, size_t k);
TokenId best_token(std::span<const float> logits);  ///< the lowest id among equals

}  // namespace kinglet
