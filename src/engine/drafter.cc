#include "engine/drafter.h"

#include <algorithm>

namespace kinglet {
namespace {

constexpr int64_t kPair = 2;       // tokens that have to agree
constexpr int64_t kFurthest = 32;  // tokens further back are not compared
constexpr int kMostPlaces = 64;    // earlier places that are looked at
constexpr int32_t kNowhere = -1;

uint64_t pair_before(std::span<const TokenId> tokens, int64_t position) {
  const auto at = [&](int64_t i) {
    return static_cast<uint64_t>(static_cast<uint32_t>(tokens[static_cast<size_t>(i)]));
  };
  return at(position - 2) << 32 | at(position - 1);
}

}  // namespace

// Brings the index up to date with all but the last position, which must not find itself.
void NgramDrafter::index(std::span<const TokenId> tokens) {
  const auto count = static_cast<int64_t>(tokens.size());
  for (auto i = static_cast<int64_t>(before_.size()); i < count; ++i) {
    int32_t before = kNowhere;
    if (i >= kPair) {
      int32_t& latest = latest_.try_emplace(pair_before(tokens, i), kNowhere).first->second;
      before = latest;
      latest = static_cast<int32_t>(i);
    }
    before_.push_back(before);
  }
}

// Tokens that stand alike before `place` and at the end.
int64_t NgramDrafter::agreement(std::span<const TokenId> tokens, int64_t place) const {
  const auto end = static_cast<int64_t>(tokens.size());
  int64_t n = kPair;
  while (n < kFurthest && n < place &&
         tokens[static_cast<size_t>(place - n - 1)] == tokens[static_cast<size_t>(end - n - 1)])
    ++n;
  return n;
}

int NgramDrafter::look(std::span<const TokenId> tokens) {
  tokens_ = tokens;
  const auto end = static_cast<int64_t>(tokens.size());
  index(tokens);
  if (end < kPair) return kNoIdea;
  const auto found = latest_.find(pair_before(tokens, end));
  int64_t longest = 0;
  int32_t place = found == latest_.end() ? kNowhere : found->second;
  for (int i = 0; i < kMostPlaces && place != kNowhere && longest < kFurthest;
       ++i, place = before_[static_cast<size_t>(place)]) {
    const int64_t n = agreement(tokens, place);
    if (n <= longest) continue;
    longest = n;
    place_ = place;
  }
  if (longest == 0) return kNoIdea;
  return longest >= 8 ? 3 : longest >= 4 ? 2 : longest >= 3 ? 1 : 0;
}

Result<std::span<const TokenId>> NgramDrafter::guess(int64_t count) {
  guess_.clear();
  for (int64_t i = 0; i < count; ++i) {
    // Past the end the guess goes on with itself: what repeats, repeats.
    const int64_t at = place_ + i, past = at - static_cast<int64_t>(tokens_.size());
    guess_.push_back(past < 0 ? tokens_[static_cast<size_t>(at)] : guess_[static_cast<size_t>(past)]);
  }
  return std::span<const TokenId>(guess_);
}

}  // namespace kinglet
