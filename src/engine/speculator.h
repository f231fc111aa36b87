// Appends the tokens of an answer to a session, with guesses of what follows them where that pays.
#pragma once

#include "engine/session.h"
#include "engine/speculation.h"

namespace kinglet {

/// For one answer. Without a drafter it only appends.
class Speculator {
 public:
  /// `session` must outlive it.
  Speculator(Session& session, std::unique_ptr<Drafter> drafter) : session_(&session), drafter_(std::move(drafter)) {}

  /// Session::append() of the token that was chosen; what was guessed is evaluated already, and most of the time a guess is made of what
  /// follows, of at most `room` tokens. Errors: those of Session::append and of the drafter.
  Status append(TokenId token, int64_t room);
  /// The answer has ended: lets go of guesses that were not needed.
  Status finish();

  int64_t guessed() const { return guessed_; }    ///< tokens evaluated before they were known
  int64_t accepted() const { return accepted_; }  ///< of those, how many came true

 private:
  Result<std::span<const TokenId>> guess_after(TokenId token, int64_t room);
  void judge();

  Session* session_;
  std::unique_ptr<Drafter> drafter_;
  SpeculationPace pace_;
  std::vector<TokenId> sequence_;  ///< what the drafter was shown
  // The guess that is evaluated: its class, its tokens, how many of them came.
  int trust_ = 0;
  std::vector<TokenId> guess_;
  size_t came_ = 0;
  int64_t guessed_ = 0, accepted_ = 0;
};

}  // namespace kinglet
