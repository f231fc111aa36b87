// What is learnt of a grammar over a vocabulary while texts follow it: states, and which tokens each allows. Texts share it, so that what
// one has paid for serves the next.
//
// A state is a set of configurations (a node and a stack of returns), made deterministic as it is met, so that a byte costs one look-up
// once its state is known. Which tokens a node allows is found once without knowing its stack: most tokens are settled inside the rule, and
// those that leave it are checked against the stack at hand. Source of that split: Dong et al. 2024, "XGrammar: Flexible and Efficient
// Structured Generation Engine for Large Language Models".
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/token_trie.h"

namespace kinglet::grammar {

/// Bit id % 64 of word id / 64: the token is allowed.
using TokenMask = std::vector<uint64_t>;

/// All of it may be called by any thread. What is learnt beyond a fixed amount of memory is forgotten, all at once.
class Automaton {
 public:
  Automaton(Grammar grammar, std::shared_ptr<const TokenTrie> trie);

  const TokenTrie& trie() const { return *trie_; }
  uint64_t bytes() const {
    return bytes_.load(std::memory_order_relaxed);
  }  ///< about, of the grammar and what is learnt of it

  /// Where a text stands. One text's calls follow each other; the automaton may renumber its state in between.
  struct Place {
    int32_t state = 0;
    bool can_end = false;   ///< the text may end here
    bool must_end = false;  ///< and nothing more may come
  };
  std::shared_ptr<Place> begin();  ///< of the empty text
  void restart(Place& place);      ///< back to the empty text
  /// Goes on by `bytes`. Errors: invalid_argument where the grammar does not allow them (the place stays), resource_exhausted where the
  /// grammar is so ambiguous that too many ways of reading the text are open.
  Status accept(Place& place, std::string_view bytes);
  /// Tokens that may come next. Errors: resource_exhausted, as accept().
  Result<std::shared_ptr<const TokenMask>> allowed(const Place& place);
  /// Bytes that have to follow, at least, until the text may end, once `bytes` have followed; nothing where those are not allowed.
  std::optional<int64_t> bytes_to_end_after(const Place& place, std::string_view bytes);

 private:
  using StateId = int32_t;
  using FrameId = int32_t;
  struct Config {
    NodeId node;
    FrameId frame;
    auto operator<=>(const Config&) const = default;
  };
  struct State {
    std::vector<Config> configs;  // sorted; each reads a byte
    bool can_end = false;         // the text may end here
    bool left = false;            // the rule at the bottom of an open stack may end here
    std::vector<StateId> next;    // of each byte class
  };
  struct Frame {
    NodeId back;
    FrameId parent;
  };
  /// As ids where they are few, else as a mask.
  struct TokenSet {
    std::vector<int32_t> ids;
    TokenMask mask;
    bool ambiguous = false;  // it could not be found

    void pack(size_t words);
    void add_to(TokenMask& out) const;
    size_t bytes() const { return ids.size() * sizeof(int32_t) + mask.size() * sizeof(uint64_t); }
  };
  /// What a node allows whatever its stack is, and the trie's nodes at which its rule has ended.
  struct Local {
    TokenSet tokens;
    std::vector<int32_t> leaves_at;
  };

  const State& state(StateId id) const { return states_[static_cast<size_t>(id)]; }
  void move(Place& place, StateId to) const;
  void forget();
  void trim();
  void count_bytes();
  void learnt(size_t bytes) { learnt_ += bytes; }
  size_t mask_words() const { return (static_cast<size_t>(trie_->vocab_size()) + 63) / 64; }
  FrameId frame(NodeId back, FrameId parent);
  StateId start();
  StateId closure(std::vector<Config> work);
  StateId add_state(State made, uint64_t hash);
  StateId step(StateId from, uint8_t byte);
  StateId read(StateId from, std::string_view bytes);
  int64_t distance(StateId id);
  template <typename OnLeft>
  void walk(int32_t root, StateId start, TokenSet& out, OnLeft on_left);
  const Local& local(NodeId node);
  const TokenSet& beyond(const Config& config);

  const Grammar grammar_;
  const std::shared_ptr<const TokenTrie> trie_;
  uint64_t own_bytes_;  // of the grammar
  std::atomic<uint64_t> bytes_;

  std::mutex mutex_;  // of all that follows
  std::vector<std::weak_ptr<Place>> places_;
  std::vector<State> states_;
  std::vector<Frame> frames_;
  std::unordered_map<uint64_t, FrameId> frame_ids_;
  std::unordered_multimap<uint64_t, StateId> state_ids_;  // by hash of the configurations
  std::unordered_map<NodeId, Local> locals_;
  std::unordered_map<uint64_t, TokenSet> beyond_;  // by configuration
  std::unordered_map<StateId, std::shared_ptr<const TokenMask>> masks_;
  std::vector<int64_t> distances_;                        // of each node to its rule's end, once asked for
  std::unordered_map<FrameId, int64_t> frame_distances_;  // of all that a stack returns to
  size_t learnt_ = 0;                                     // bytes, about
  size_t trim_at_;
};

}  // namespace kinglet::grammar
