#include "engine/grammar_pool.h"

#include <algorithm>
#include <chrono>

#include "engine/constraint.h"

namespace kinglet {

Result<std::shared_ptr<grammar::Automaton>> GrammarPool::get(std::string_view text, const Compile& compile) {
  {
    const std::lock_guard lock(mutex_);
    if (auto found = find_locked(text)) {
      ++stats_.found;
      evict_locked();  // what is in use grows
      return found;
    }
  }
  // Others need not wait for this one. Where two compile the same text at once the first to be done is kept.
  const auto start = std::chrono::steady_clock::now();
  KL_ASSIGN(grammar::Grammar grammar, compile());
  auto made = std::make_shared<grammar::Automaton>(std::move(grammar), tokens());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const std::lock_guard lock(mutex_);
  ++stats_.compiled;
  stats_.compile_seconds += took.count();
  if (auto found = find_locked(text)) return found;
  entries_.push_front({std::string(text), made});
  places_.emplace(entries_.front().text, entries_.begin());
  evict_locked();
  return made;
}

std::shared_ptr<grammar::Automaton> GrammarPool::find_locked(std::string_view text) {
  const auto found = places_.find(text);
  if (found == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->automaton;
}

void GrammarPool::evict_locked() {
  uint64_t total = 0;
  for (const Entry& entry : entries_) total += entry.bytes();
  while (total > max_bytes_ && entries_.size() > 1) {
    total -= std::min(total, entries_.back().bytes());  // which may have grown meanwhile
    places_.erase(entries_.back().text);
    entries_.pop_back();
    ++stats_.evicted;
  }
}

std::shared_ptr<const grammar::TokenTrie> GrammarPool::tokens() {
  const std::lock_guard lock(tokens_mutex_);
  if (tokens_ == nullptr) tokens_ = text_tokens(tokenizer_, visible_);
  return tokens_;
}

GrammarPoolStats GrammarPool::stats() const {
  const std::lock_guard lock(mutex_);
  GrammarPoolStats out = stats_;
  out.grammars = entries_.size();
  out.bytes = 0;
  for (const Entry& entry : entries_) out.bytes += entry.bytes();
  return out;
}

}  // namespace kinglet
