// Losses against their definitions and their derivatives against differences.
#include "train/preference_loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kinglet::train {
namespace {

constexpr PreferenceMethod kPairs[] = {PreferenceMethod::dpo, PreferenceMethod::ipo, PreferenceMethod::simpo,
                                       PreferenceMethod::orpo};

TEST(PreferenceLoss, DerivativesAreThoseOfTheLoss) {
  for (const PreferenceMethod method : kPairs) {
    for (const double beta : {0.1, 2.0}) {
      const PreferenceOptions options{.method = method, .beta = beta, .gamma = 0.7};
      for (const double shift : {-9.0, -1.0, 0.0, 2.5}) {
        const AnswerScore w{-12.0 + shift, -13.5, 7}, l{-20.0, -19.0 - shift, 11};
        const PairLoss at = pair_loss(options, w, l);
        const double h = 1e-5;
        const auto moved = [&](double dw, double dl) {
          return pair_loss(options, {w.policy + dw, w.reference, w.tokens}, {l.policy + dl, l.reference, l.tokens})
              .loss;
        };
        EXPECT_NEAR(at.d_chosen, (moved(h, 0) - moved(-h, 0)) / (2 * h), 1e-7 * (1 + std::abs(at.d_chosen)));
        EXPECT_NEAR(at.d_rejected, (moved(0, h) - moved(0, -h)) / (2 * h), 1e-7 * (1 + std::abs(at.d_rejected)));
      }
    }
  }
}

TEST(PreferenceLoss, DerivativesOfKto) {
  const PreferenceOptions options{
      .method = PreferenceMethod::kto, .beta = 0.3, .wanted_weight = 1.5, .unwanted_weight = 0.5};
  for (const bool wanted : {true, false}) {
    for (const double divergence : {0.0, 1.25}) {
      const AnswerScore answer{-8.0, -9.5, 5};
      const auto at = [&](double policy) {
        return kto_loss(options, {policy, answer.reference, 5}, wanted, divergence);
      };
      const double h = 1e-5;
      EXPECT_NEAR(at(-8.0).d_policy, (at(-8.0 + h).loss - at(-8.0 - h).loss) / (2 * h), 1e-8);
    }
  }
}

TEST(PreferenceLoss, BeforeTrainingDpoIsLogTwoAndHasNoMargin) {
  const PairLoss at = pair_loss({.beta = 0.1}, {-5, -5, 3}, {-9, -9, 4});
  EXPECT_DOUBLE_EQ(at.loss, std::log(2.0));
  EXPECT_EQ(at.margin, 0);
  EXPECT_DOUBLE_EQ(at.d_chosen, -0.05);
  EXPECT_DOUBLE_EQ(at.d_rejected, 0.05);
}

TEST(PreferenceLoss, WorkedValues) {
  // IPO: (log ratio - 1 / (2 beta))^2 over mean log probabilities.
  EXPECT_NEAR(pair_loss({.method = PreferenceMethod::ipo, .beta = 0.5}, {-4, -6, 2}, {-9, -6, 3}).loss, 1.0, 1e-12);
  // SimPO: -log sigmoid(beta (-2 + 3) - gamma).
  EXPECT_NEAR(pair_loss({.method = PreferenceMethod::simpo, .beta = 2, .gamma = 1}, {-4, 0, 2}, {-9, 0, 3}).loss,
              std::log1p(std::exp(-1.0)), 1e-12);
  // ORPO: NLL of 2 a token, and the odds ratio of e^-2 to e^-3.
  const double odds = std::log(std::exp(-2.0) / (1 - std::exp(-2.0))) - std::log(std::exp(-3.0) / (1 - std::exp(-3.0)));
  EXPECT_NEAR(pair_loss({.method = PreferenceMethod::orpo, .beta = 0.1}, {-4, 0, 2}, {-9, 0, 3}).loss,
              2 + 0.1 * std::log1p(std::exp(-odds)), 1e-12);
  // KTO: 1 - sigmoid(beta (reward - divergence)), and the mirror of it.
  const PreferenceOptions kto{.method = PreferenceMethod::kto, .beta = 1};
  EXPECT_NEAR(kto_loss(kto, {-4, -6, 2}, true, 0.5).loss, 1 / (1 + std::exp(1.5)), 1e-12);
  EXPECT_NEAR(kto_loss(kto, {-4, -6, 2}, false, 0.5).loss, 1 / (1 + std::exp(-1.5)), 1e-12);
}

TEST(PreferenceLoss, FarAnswersOverflowNothing) {
  for (const PreferenceMethod method : kPairs) {
    for (const double far : {-5000.0, 0.0}) {
      const PairLoss at = pair_loss({.method = method, .beta = 5}, {far, -2500, 4}, {-2500, far, 4});
      EXPECT_TRUE(std::isfinite(at.loss) && std::isfinite(at.d_chosen) && std::isfinite(at.d_rejected));
    }
  }
}

TEST(PreferenceLoss, NamesAreTheMethods) {
  EXPECT_EQ(preference_method("orpo"), PreferenceMethod::orpo);
  EXPECT_FALSE(preference_method("ppo"));
}

}  // namespace
}  // namespace kinglet::train
