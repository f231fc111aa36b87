// Speculation: tokens that are guessed are evaluated in one batch with the one that is known, since a batch of a few costs little more
// than one token where reading the weights is what takes the time. What comes out is what would have come out anyway, to the last bit,
// for greedy decoding and for sampling: results do not depend on how a sequence is cut into batches, and the draw for a token depends on
// its position and its logits only, so that a guess is kept where it is what the sampler draws.
#pragma once

#include <array>

#include "engine/drafter.h"

namespace kinglet {

/// How often guesses came true, by class, older ones counting less. One answer's worth of memory.
class GuessRecord {
 public:
  /// With what probability a guess comes true where all before it did.
  double rate(int trust) const { return of(trust).came_true / of(trust).tried; }
  /// Of `guessed` tokens the first `accepted` came true.
  void judge(int trust, int64_t guessed, int64_t accepted);
  /// Nothing was guessed: what was believed at first gains weight, so that it is tried again after a while.
  void untried(int trust);

 private:
  struct Belief {
    double came_true, tried;  ///< tokens
  };
  const Belief& of(int trust) const { return beliefs_[static_cast<size_t>(trust)]; }
  /// What is believed before anything was tried, and in what measure (four tokens' worth).
  static constexpr std::array<Belief, Drafter::kTrusts> kFirst = {{{1.6, 4}, {2.2, 4}, {2.8, 4}, {3.4, 4}}};
  std::array<Belief, Drafter::kTrusts> beliefs_ = kFirst;
};

/// What batches of few tokens take. Sizes between those that are kept share their neighbours' times.
class BatchTimes {
 public:
  void took(int64_t tokens, double seconds);
  /// 0 as long as nothing was measured. What was not measured is believed to cost little, so that it will be.
  double seconds(int64_t tokens) const;
  /// A batch was of `tokens` since more were too dear: long times of larger ones are believed less, for they may have been those of a busy
  /// moment.
  void untried(int64_t tokens);

 private:
  static constexpr std::array<int64_t, 7> kSizes = {1, 2, 4, 8, 16, 32, 64};
  using Times = std::array<double, kSizes.size()>;
  static constexpr Times kFirst = {1, 1.1, 1.3, 1.8, 3, 5.6, 11};  ///< in steps of one token
  struct Place {
    size_t below;  ///< index of a size
    double share;  ///< of the next one
  };
  static Place place_of(int64_t tokens);
  static double first(int64_t tokens);
  double at(size_t size) const;

  Times seconds_{};  ///< measured; 0: not yet
};

/// What a batch has already when guesses for one of its answers are weighed.
struct GuessPlace {
  int64_t answers = 1;  ///< that get a token each
  int64_t tokens = 1;   ///< all of them, and what is guessed for others
  int64_t room = 0;     ///< most guesses
};

/// How many guesses (none, 1, 3, 7 or 15) that come true at `rate` are worth evaluating. One answer gets its tokens sooner, and all answers
/// of the batch wait longer: guesses are worth it where the product of all answers' speeds grows (proportional fairness: Kelly 1997,
/// "Charging and rate control for elastic traffic"). Alone that is the answer's own speed; the more share the batch, the more it takes.
int64_t guesses_worth(const BatchTimes& times, double rate, const GuessPlace& place);

/// Decides how many tokens to guess for a sequence that has the machine for itself, from how often guesses of a class came true and what
/// batches have cost. One generation's worth of memory.
class SpeculationPace {
 public:
  /// Most tokens worth guessing with this trust, at most `room`.
  int64_t choose(int trust, int64_t room);
  /// A batch of `tokens` (the known one and what was guessed) took this long, guessing included.
  void took(int64_t tokens, double seconds) { times_.took(tokens, seconds); }
  void judge(int trust, int64_t guessed, int64_t accepted) { record_.judge(trust, guessed, accepted); }

  static constexpr int64_t kMostGuessed = 15;

 private:
  BatchTimes times_;
  GuessRecord record_;
};

}  // namespace kinglet
