// Speculation: tokens that are guessed are evaluated in one batch with the one that is known, since a batch of a few costs little more
// than one token where reading the weights is what takes the time. What comes out is what would have come out anyway, to the last bit,
// for greedy decoding and for sampling: results do not depend on how a sequence is cut into batches, and the draw for a token depends on
// its position and its logits only, so that a guess is kept where it is what the sampler draws.
#pragma once

#include <array>

#include "engine/drafter.h"

namespace kinglet {

/// Decides how many tokens to guess, from how often guesses of a class came true and what batches have cost: as many as promise the most
/// tokens a second, and none where that is a plain step. One generation's worth of memory.
class SpeculationPace {
 public:
  /// Most tokens worth guessing with this trust, at most `room`; batches are of 2, 4, 8 and 16 tokens.
  int64_t choose(int trust, int64_t room);
  /// A batch of `tokens` (the known one and what was guessed) took this long, guessing included.
  void took(int64_t tokens, double seconds);
  /// Of `guessed` tokens the first `accepted` came true.
  void judge(int trust, int64_t guessed, int64_t accepted);

  static constexpr int64_t kMostGuessed = 15;

 private:
  static constexpr std::array<int64_t, 5> kBatches = {1, 2, 4, 8, 16};
  struct Belief {
    double came_true, tried;  ///< tokens, older ones counting less
    double rate() const { return came_true / tried; }
  };
  double seconds(size_t batch) const;

  std::array<double, kBatches.size()> seconds_{};  ///< measured; 0: not yet
  std::array<Belief, Drafter::kTrusts> beliefs_ = kFirstBeliefs;
  /// What is believed before anything was tried, and in what measure (four tokens' worth).
  static constexpr std::array<Belief, Drafter::kTrusts> kFirstBeliefs = {{{1.6, 4}, {2.2, 4}, {2.8, 4}, {3.4, 4}}};
};

}  // namespace kinglet
