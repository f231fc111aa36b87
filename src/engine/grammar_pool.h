// Compiled grammars over one vocabulary, shared by the answers that are held to the same text.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/automaton.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {

struct GrammarPoolStats {
  // now
  uint64_t grammars = 0;
  uint64_t bytes = 0;  ///< of them, with the masks of tokens that were made for them
  // since the start
  uint64_t found = 0;     ///< was there already
  uint64_t compiled = 0;  ///< was not
  uint64_t evicted = 0;
  double compile_seconds = 0;
};

/// Any thread. Where the grammars take more than `max_bytes` those go that were not asked for for longest; an answer that is held to one
/// keeps it until it ends, and the latest one always stays.
class GrammarPool {
 public:
  /// `tokenizer` must outlive it. `visible`: as text_tokens().
  GrammarPool(const Tokenizer& tokenizer, std::vector<TokenId> visible, uint64_t max_bytes)
      : tokenizer_(tokenizer), visible_(std::move(visible)), max_bytes_(max_bytes) {}

  using Compile = std::function<Result<grammar::Grammar>()>;
  /// What `text` says, the whole of what the grammar follows from; `compile` makes it where it is not there. Errors: those of `compile`.
  Result<std::shared_ptr<grammar::Automaton>> get(std::string_view text, const Compile& compile);

  GrammarPoolStats stats() const;

 private:
  struct Entry {
    std::string text;
    std::shared_ptr<grammar::Automaton> automaton;
    uint64_t bytes() const { return sizeof(Entry) + 2 * text.size() + automaton->bytes(); }
  };
  using Entries = std::list<Entry>;

  std::shared_ptr<grammar::Automaton> find_locked(std::string_view text);
  void evict_locked();
  std::shared_ptr<const grammar::TokenTrie> tokens();

  const Tokenizer& tokenizer_;
  const std::vector<TokenId> visible_;
  const uint64_t max_bytes_;

  std::mutex tokens_mutex_;
  std::shared_ptr<const grammar::TokenTrie> tokens_;  ///< made for the first grammar

  mutable std::mutex mutex_;
  Entries entries_;  ///< the latest first
  std::unordered_map<std::string_view, Entries::iterator> places_;
  GrammarPoolStats stats_;
};

}  // namespace kinglet
