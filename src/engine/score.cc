#include "engine/score.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kinglet {

double log_sum_exp(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float x : logits) sum += std::exp(static_cast<double>(x) - most);
  return most + std::log(sum);
}

std::vector<TokenScore> most_probable(std::span<const float> logits, size_t k) {
  k = std::min(k, logits.size());
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto better = [&](TokenId a, TokenId b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(k), ids.end(), better);
  const double norm = log_sum_exp(logits);
  std::vector<TokenScore> out;
  for (size_t i = 0; i < k; ++i)
    out.push_back({ids[i], static_cast<double>(logits[static_cast<size_t>(ids[i])]) - norm});
  return out;
}

TokenId best_token(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace kinglet
