#include "engine/constraint.h"

#include <algorithm>

namespace kinglet {

namespace {

std::string_view trimmed_front(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \n\t\r"), text.size()));
}

}  // namespace

std::shared_ptr<const grammar::TokenTrie> text_tokens(const Tokenizer& tokenizer, std::span<const TokenId> visible) {
  std::vector<std::string> pieces(static_cast<size_t>(tokenizer.vocab_size()));
  const auto ends = tokenizer.end_tokens();
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id)
    if (!tokenizer.is_control(id) && std::find(ends.begin(), ends.end(), id) == ends.end())
      pieces[static_cast<size_t>(id)] = tokenizer.piece(id);
  for (const TokenId id : visible) pieces[static_cast<size_t>(id)] = tokenizer.piece(id);
  return std::make_shared<const grammar::TokenTrie>(pieces);
}

ConstraintState::ConstraintState(const Constraint& constraint, const Tokenizer& tokenizer)
    : tokenizer_(&tokenizer),
      automaton_(constraint.automaton),
      matcher_(constraint.automaton),
      begun_(matcher_.accept(constraint.begun)),
      on_(constraint.triggers.empty() && constraint.first_triggers.empty()),
      triggers_(constraint.triggers),
      first_triggers_(constraint.first_triggers),
      pause_begin_(constraint.pause_begin),
      pause_end_(constraint.pause_end),
      paused_(constraint.paused),
      may_pause_(!constraint.paused && !constraint.pause_begin.empty()) {}

Status ConstraintState::accept(TokenId id) {
  if (on_) return matcher_.accept(tokenizer_->piece(id));
  watch(tokenizer_->piece(id));
  return ok_status();
}

bool ConstraintState::fits(TokenId id, int64_t tokens) {
  if (!on_) return true;
  const auto ends = tokenizer_->end_tokens();
  if (std::find(ends.begin(), ends.end(), id) != ends.end()) return true;
  const auto bytes = matcher_.bytes_to_end_after(tokenizer_->piece(id));
  return bytes && *bytes <= tokens;
}

// Every byte is a token in the vocabularies that there are, so that a way of n bytes takes n tokens at most.
const grammar::TokenMask* ConstraintState::closing(int64_t tokens) {
  const auto allowed = this->allowed();
  if (!allowed.ok() || *allowed == nullptr) return nullptr;
  grammar::TokenMask mask((*allowed)->size());
  bool any = false;
  const auto keep = [&](TokenId id) {
    const auto word = static_cast<size_t>(id) / 64;
    if (((**allowed)[word] >> (id % 64) & 1) == 0 || !fits(id, tokens)) return;
    mask[word] |= uint64_t{1} << (id % 64);
    any = true;
  };
  const grammar::TokenTrie& trie = automaton_->trie();
  for (const grammar::TokenTrie::Node& node : trie.nodes())
    if (node.depth == 1)
      for (const int32_t id : trie.tokens_at(node)) keep(id);
  for (const TokenId id : tokenizer_->end_tokens())
    if (id >= 0 && id < trie.vocab_size()) keep(id);
  if (!any) return nullptr;
  closing_ = std::move(mask);
  return &closing_;
}

void ConstraintState::watch(std::string_view piece) {
  seen_ += piece;
  if (!pauses()) look_for_triggers();
}

bool ConstraintState::pauses() {
  if (may_pause_) {
    const std::string_view answer = trimmed_front(seen_);
    paused_ = answer.starts_with(pause_begin_);
    if (!paused_ && std::string_view(pause_begin_).starts_with(answer)) return true;  // not known yet
    may_pause_ = false;
  }
  if (!paused_) return false;
  const size_t end = seen_.find(pause_end_);
  if (end == std::string::npos) {
    seen_.erase(0, seen_.size() - std::min(seen_.size(), pause_end_.size() - 1));
    return true;
  }
  seen_.erase(0, end + pause_end_.size());
  paused_ = false;
  return false;
}

void ConstraintState::look_for_triggers() {
  if (at_start_) {
    const std::string_view answer = trimmed_front(seen_);
    const size_t begin = seen_.size() - answer.size();
    bool open = answer.empty();
    for (const std::string& trigger : first_triggers_) {
      if (answer.starts_with(trigger) && switch_on(begin)) return;
      open = open || std::string_view(trigger).starts_with(answer);
    }
    at_start_ = open && !first_triggers_.empty();
  }
  size_t keep = at_start_ ? seen_.size() : 0;
  for (const std::string& trigger : triggers_) {
    for (size_t at = seen_.find(trigger); at != std::string::npos; at = seen_.find(trigger, at + 1)) {
      if (switch_on(at)) return;
    }
    keep = std::max(keep, trigger.size() - 1);
  }
  if (seen_.size() > keep) seen_.erase(0, seen_.size() - keep);
}

bool ConstraintState::switch_on(size_t at) { return on_ = matcher_.accept(std::string_view(seen_).substr(at)).ok(); }

Result<const grammar::TokenMask*> ConstraintState::allowed() {
  KL_TRY(begun_);
  if (!on_) return nullptr;
  KL_ASSIGN(const grammar::TokenMask* const mask, matcher_.allowed());
  if (!matcher_.can_end()) return mask;
  with_ends_ = *mask;
  for (const TokenId id : tokenizer_->end_tokens())
    if (id >= 0 && id < automaton_->trie().vocab_size())
      with_ends_[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  return &with_ends_;
}

}  // namespace kinglet
