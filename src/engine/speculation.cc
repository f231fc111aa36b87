#include "engine/speculation.h"

#include <algorithm>
#include <cmath>

namespace kinglet {
namespace {

constexpr double kWeightOfNewTime = 0.25, kWeightOfShorterTime = 0.5;
constexpr double kForgettingTimes =
    0.02;                               // share by which a long time returns to the first cost when nothing was tried
constexpr double kOldJudgement = 0.98;  // weight of what was known, for each token judged since
constexpr double kForgetting = 0.01;    // share by which a belief returns to the first one when nothing was tried
constexpr double kLeastGain = 1.02;     // a guess that gains less is not worth its chatter in the caches
constexpr std::array<int64_t, 4> kGuesses = {1, 3, 7, SpeculationPace::kMostGuessed};

// Tokens that a batch yields when each guess comes true with probability `rate` where all before it did, and one follows anyway.
double expected_tokens(double rate, int64_t guesses) {
  double sum = 1, all = 1;
  for (int64_t i = 0; i < guesses; ++i) sum += all *= rate;
  return sum;
}

}  // namespace

void GuessRecord::judge(int trust, int64_t guessed, int64_t accepted) {
  Belief& belief = beliefs_[static_cast<size_t>(trust)];
  // What stands behind the first wrong guess says nothing.
  const int64_t tried = std::min(guessed, accepted + 1);
  for (int64_t i = 0; i < tried; ++i) {
    belief.came_true = belief.came_true * kOldJudgement + (i < accepted ? 1 : 0);
    belief.tried = belief.tried * kOldJudgement + 1;
  }
}

void GuessRecord::untried(int trust) {
  Belief& belief = beliefs_[static_cast<size_t>(trust)];
  const Belief& first = kFirst[static_cast<size_t>(trust)];
  belief.came_true += kForgetting * (first.came_true - belief.came_true);
  belief.tried += kForgetting * (first.tried - belief.tried);
}

BatchTimes::Place BatchTimes::place_of(int64_t tokens) {
  size_t below = 0;
  while (below + 2 < kSizes.size() && kSizes[below + 1] <= tokens) ++below;
  const auto low = static_cast<double>(kSizes[below]), high = static_cast<double>(kSizes[below + 1]);
  return {below, (static_cast<double>(tokens) - low) / (high - low)};
}

double BatchTimes::first(int64_t tokens) {
  const Place p = place_of(tokens);
  return kFirst[p.below] + p.share * (kFirst[p.below + 1] - kFirst[p.below]);
}

double BatchTimes::at(size_t size) const {
  const auto guess_from = [&](size_t known) { return seconds_[known] * kFirst[size] / kFirst[known]; };
  for (size_t i = size + 1; i-- > 0;)
    if (seconds_[i] > 0) return guess_from(i);
  for (size_t i = size + 1; i < kSizes.size(); ++i)
    if (seconds_[i] > 0) return guess_from(i);
  return 0;
}

double BatchTimes::seconds(int64_t tokens) const {
  const Place p = place_of(tokens);
  const double low = at(p.below);
  return low + p.share * (at(p.below + 1) - low);
}

// A first time is part surprise (memory that is touched for the first time), and whatever disturbs only slows down.
void BatchTimes::took(int64_t tokens, double seconds) {
  if (tokens > kSizes.back() || !(seconds > 0)) return;
  const Place p = place_of(tokens);
  const double known = this->seconds(tokens);
  if (known == 0) {
    seconds_[p.below] = seconds * kFirst[p.below] / first(tokens);
    return;
  }
  const double weight = seconds < known ? kWeightOfShorterTime : kWeightOfNewTime;
  const double change = weight * (seconds / known - 1);
  const double low = at(p.below), high = at(p.below + 1);
  if (p.share < 1) seconds_[p.below] = low * (1 + change * (1 - p.share));
  if (p.share > 0) seconds_[p.below + 1] = high * (1 + change * p.share);
}

void BatchTimes::untried(int64_t tokens) {
  const double step = seconds(tokens) / first(tokens);
  for (size_t i = 0; i < kSizes.size(); ++i) {
    if (kSizes[i] <= tokens || seconds_[i] == 0) continue;
    seconds_[i] += kForgettingTimes * std::min(0.0, step * kFirst[i] - seconds_[i]);
  }
}

int64_t guesses_worth(const BatchTimes& times, double rate, const GuessPlace& place) {
  const double plain = times.seconds(place.tokens);
  if (plain == 0) return 0;  // a plain step comes first: it is the measure
  double best = std::log(kLeastGain);
  int64_t out = 0;
  for (const int64_t guesses : kGuesses) {
    if (guesses > place.room) break;
    const double slower = times.seconds(place.tokens + guesses) / plain;
    const double gain =
        std::log(expected_tokens(rate, guesses)) - static_cast<double>(place.answers) * std::log(slower);
    if (gain <= best) continue;
    best = gain;
    out = guesses;
  }
  return out;
}

int64_t SpeculationPace::choose(int trust, int64_t room) {
  if (times_.seconds(1) == 0) return 0;
  const int64_t guesses = guesses_worth(times_, record_.rate(trust), {.room = room});
  if (guesses > 0) return guesses;
  times_.untried(1);
  record_.untried(trust);
  return 0;
}

}  // namespace kinglet
