#include "train/preference_loss.h"

#include <array>
#include <cmath>
#include <utility>

namespace kinglet::train {
namespace {

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
/// -log(sigmoid(x)), without overflow.
double softplus_of_minus(double x) { return x >= 0 ? std::log1p(std::exp(-x)) : -x + std::log1p(std::exp(x)); }

double mean(const AnswerScore& s, double log_prob) { return log_prob / static_cast<double>(s.tokens); }

PairLoss dpo(double beta, const AnswerScore& w, const AnswerScore& l) {
  const double margin = beta * ((w.policy - w.reference) - (l.policy - l.reference));
  const double slope = beta * sigmoid(-margin);
  return {softplus_of_minus(margin), -slope, slope, margin};
}

PairLoss ipo(double beta, const AnswerScore& w, const AnswerScore& l) {
  const double h = mean(w, w.policy - w.reference) - mean(l, l.policy - l.reference);
  const double off = h - 1 / (2 * beta);
  return {off * off, 2 * off / static_cast<double>(w.tokens), -2 * off / static_cast<double>(l.tokens), beta * h};
}

PairLoss simpo(double beta, double gamma, const AnswerScore& w, const AnswerScore& l) {
  const double margin = beta * (mean(w, w.policy) - mean(l, l.policy));
  const double slope = beta * sigmoid(gamma - margin);
  return {softplus_of_minus(margin - gamma), -slope / static_cast<double>(w.tokens),
          slope / static_cast<double>(l.tokens), margin};
}

/// log(p / (1 - p)) of a mean log probability, and its derivative 1 / (1 - p).
std::pair<double, double> log_odds(double log_p) {
  log_p = std::min(log_p, -1e-12);  // an answer that is certain has no odds
  const double rest = -std::expm1(log_p);
  return {log_p - std::log(rest), 1 / rest};
}

PairLoss orpo(double beta, const AnswerScore& w, const AnswerScore& l) {
  const double pw = mean(w, w.policy), pl = mean(l, l.policy);
  const auto [ow, dw] = log_odds(pw);
  const auto [ol, dl] = log_odds(pl);
  const double slope = beta * sigmoid(ol - ow);
  const auto nw = static_cast<double>(w.tokens), nl = static_cast<double>(l.tokens);
  return {-pw + beta * softplus_of_minus(ow - ol), (-1 - slope * dw) / nw, slope * dl / nl, beta * (pw - pl)};
}

}  // namespace

std::optional<PreferenceMethod> preference_method(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, PreferenceMethod>, 5> kNames{{{"dpo", PreferenceMethod::dpo},
                                                                                 {"ipo", PreferenceMethod::ipo},
                                                                                 {"simpo", PreferenceMethod::simpo},
                                                                                 {"orpo", PreferenceMethod::orpo},
                                                                                 {"kto", PreferenceMethod::kto}}};
  for (const auto& [known, method] : kNames)
    if (known == name) return method;
  return std::nullopt;
}

bool needs_reference(PreferenceMethod method) {
  return method != PreferenceMethod::simpo && method != PreferenceMethod::orpo;
}

PairLoss pair_loss(const PreferenceOptions& options, const AnswerScore& chosen, const AnswerScore& rejected) {
  switch (options.method) {
    case PreferenceMethod::ipo:
      return ipo(options.beta, chosen, rejected);
    case PreferenceMethod::simpo:
      return simpo(options.beta, options.gamma, chosen, rejected);
    case PreferenceMethod::orpo:
      return orpo(options.beta, chosen, rejected);
    case PreferenceMethod::dpo:
    case PreferenceMethod::kto:
      break;
  }
  return dpo(options.beta, chosen, rejected);
}

SingleLoss kto_loss(const PreferenceOptions& options, const AnswerScore& answer, bool wanted, double divergence) {
  const double reward = options.beta * (answer.policy - answer.reference);
  const double sign = wanted ? 1 : -1, weight = wanted ? options.wanted_weight : options.unwanted_weight;
  const double value = sigmoid(sign * (reward - options.beta * divergence));
  return {weight * (1 - value), -sign * weight * options.beta * value * (1 - value), reward};
}

}  // namespace kinglet::train
