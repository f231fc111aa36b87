#include "engine/constraint.h"

#include <algorithm>

namespace kinglet {

std::shared_ptr<const grammar::TokenTrie> text_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> pieces(static_cast<size_t>(tokenizer.vocab_size()));
  const auto ends = tokenizer.end_tokens();
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id)
    if (!tokenizer.is_control(id) && std::find(ends.begin(), ends.end(), id) == ends.end())
      pieces[static_cast<size_t>(id)] = tokenizer.piece(id);
  return std::make_shared<const grammar::TokenTrie>(pieces);
}

Result<const grammar::TokenMask*> ConstraintState::allowed() {
  KL_ASSIGN(const grammar::TokenMask* const mask, matcher_.allowed());
  if (!matcher_.can_end()) return mask;
  with_ends_ = *mask;
  for (const TokenId id : tokenizer_->end_tokens())
    if (id >= 0 && id < tokens_->vocab_size()) with_ends_[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  return &with_ends_;
}

}  // namespace kinglet
