#include "engine/score.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kinglet {
namespace {

TEST(Score, ProbabilitiesSumToOneAndSurviveLargeLogits) {
  const std::vector<float> logits = {1000.0f, 999.0f, -1000.0f, 1000.0f};
  double sum = 0;
  for (TokenId id = 0; id < 4; ++id) sum += std::exp(log_probability(logits, id));
  EXPECT_NEAR(sum, 1.0, 1e-12);
}

TEST(Score, MostProbableIsOrderedAndPrefersTheLowerIdAmongEquals) {
  const std::vector<float> logits = {1, 3, 2, 3, -1};
  const auto top = most_probable(logits, 3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].id, 1);
  EXPECT_EQ(top[1].id, 3);
  EXPECT_EQ(top[2].id, 2);
  EXPECT_EQ(best_token(logits), 1);
  EXPECT_EQ(most_probable(logits, 99).size(), 5u);
}

}  // namespace
}  // namespace kinglet
