#include "engine/speculator.h"

#include <algorithm>
#include <chrono>

namespace kinglet {

Status Speculator::append(TokenId token, int64_t room) {
  if (came_ < guess_.size() && guess_[came_] == token) {
    ++came_;
    ++accepted_;
    return session_->append({&token, 1});
  }
  judge();
  const auto start = std::chrono::steady_clock::now();
  KL_ASSIGN(const auto guess, guess_after(token, std::min(room, session_->guess_room())));
  KL_TRY(session_->append_guessing(token, guess));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  pace_.took(static_cast<int64_t>(guess.size()) + 1, took.count());
  guess_.assign(guess.begin(), guess.end());
  guessed_ += static_cast<int64_t>(guess.size());
  return ok_status();
}

Result<std::span<const TokenId>> Speculator::guess_after(TokenId token, int64_t room) {
  if (drafter_ == nullptr || room <= 0) return std::span<const TokenId>();
  sequence_.assign(session_->tokens().begin(), session_->tokens().end());
  sequence_.push_back(token);
  trust_ = drafter_->look(sequence_);
  const int64_t count = trust_ == Drafter::kNoIdea ? 0 : pace_.choose(trust_, room);
  if (count == 0) return std::span<const TokenId>();
  return drafter_->guess(count);
}

// A guess is over: either a token came that was not guessed, or all of it came true.
void Speculator::judge() {
  if (!guess_.empty()) pace_.judge(trust_, static_cast<int64_t>(guess_.size()), static_cast<int64_t>(came_));
  guess_.clear();
  came_ = 0;
}

Status Speculator::finish() {
  judge();
  return session_->truncate(session_->length());
}

}  // namespace kinglet
