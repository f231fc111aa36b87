#include "engine/speculation.h"

#include <algorithm>

namespace kinglet {
namespace {

constexpr double kWeightOfNewTime = 0.25, kWeightOfShorterTime = 0.5;
constexpr double kForgettingTimes =
    0.02;                               // share by which a long time returns to the first cost when nothing was tried
constexpr double kOldJudgement = 0.98;  // weight of what was known, for each token judged since
constexpr double kForgetting = 0.01;    // share by which a belief returns to the first one when nothing was tried
constexpr double kLeastGain = 1.02;     // a guess that gains less is not worth its chatter in the caches
// What a batch costs, in plain steps, as long as none of its size was measured: low, so that it will be.
constexpr std::array<double, 5> kFirstCosts = {1.0, 1.1, 1.3, 1.8, 3.0};

// Tokens that a batch yields when each guess comes true with probability `rate` where all before it did, and one follows anyway.
double expected_tokens(double rate, int64_t batch) {
  double sum = 1, all = 1;
  for (int64_t i = 1; i < batch; ++i) sum += all *= rate;
  return sum;
}

}  // namespace

double SpeculationPace::seconds(size_t batch) const {
  if (seconds_[batch] > 0) return seconds_[batch];
  size_t known = batch;
  while (known > 0 && seconds_[known] == 0) --known;
  return seconds_[known] * kFirstCosts[batch] / kFirstCosts[known];
}

int64_t SpeculationPace::choose(int trust, int64_t room) {
  if (seconds_[0] == 0) return 0;  // a plain step comes first: it is the measure
  Belief& belief = beliefs_[static_cast<size_t>(trust)];
  double best = kLeastGain / seconds_[0];
  int64_t guesses = 0;
  for (size_t i = 1; i < kBatches.size() && kBatches[i] - 1 <= room; ++i) {
    const double speed = expected_tokens(belief.rate(), kBatches[i]) / seconds(i);
    if (speed <= best) continue;
    best = speed;
    guesses = kBatches[i] - 1;
  }
  if (guesses == 0) {  // off, and after a while it is tried again: a time may have been that of a busy machine
    for (size_t i = 1; i < kBatches.size(); ++i)
      seconds_[i] += kForgettingTimes * std::min(0.0, seconds_[0] * kFirstCosts[i] - seconds_[i]);
    const Belief& first = kFirstBeliefs[static_cast<size_t>(trust)];
    belief.came_true += kForgetting * (first.came_true - belief.came_true);
    belief.tried += kForgetting * (first.tried - belief.tried);
  }
  return guesses;
}

void SpeculationPace::took(int64_t tokens, double seconds) {
  const auto batch = std::find(kBatches.begin(), kBatches.end(), tokens);
  if (batch == kBatches.end()) return;
  double& known = seconds_[static_cast<size_t>(batch - kBatches.begin())];
  // A first time is part surprise (memory that is touched for the first time), and whatever disturbs only slows down.
  if (known == 0 && tokens > 1) known = this->seconds(static_cast<size_t>(batch - kBatches.begin()));
  const double weight = seconds < known ? kWeightOfShorterTime : kWeightOfNewTime;
  known = known == 0 ? seconds : known + weight * (seconds - known);
}

void SpeculationPace::judge(int trust, int64_t guessed, int64_t accepted) {
  Belief& belief = beliefs_[static_cast<size_t>(trust)];
  // What stands behind the first wrong guess says nothing.
  const int64_t tried = std::min(guessed, accepted + 1);
  for (int64_t i = 0; i < tried; ++i) {
    belief.came_true = belief.came_true * kOldJudgement + (i < accepted ? 1 : 0);
    belief.tried = belief.tried * kOldJudgement + 1;
  }
}

}  // namespace kinglet
