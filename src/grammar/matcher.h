// Follows a text through a grammar and says which tokens may come next.
//
// The state is a set of configurations (a node and a stack of returns), made deterministic as it is met, so that a byte costs one look-up
// once its state is known. Which tokens a node allows is found once without knowing its stack: most tokens are settled inside the rule, and
// those that leave it are checked against the stack at hand. Source of that split: Dong et al. 2024, "XGrammar: Flexible and Efficient
// Structured Generation Engine for Large Language Models".
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/token_trie.h"

namespace kinglet::grammar {

/// Bit id % 64 of word id / 64: the token is allowed.
using TokenMask = std::vector<uint64_t>;

/// One text. It keeps what it has learnt of the grammar, so using it again (reset) is cheaper than making another.
class Matcher {
 public:
  Matcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

  void reset();  ///< to the empty text
  /// Goes on by `bytes`. Errors: invalid_argument where the grammar does not allow them (the state stays), resource_exhausted where the
  /// grammar is so ambiguous that too many ways of reading the text are open.
  Status accept(std::string_view bytes);
  /// Tokens that may come next. Errors: resource_exhausted, as accept().
  Result<const TokenMask*> allowed();
  /// Bytes that have to follow, at least, until the text may end.
  int64_t bytes_to_end() { return distance(current_); }
  /// The same once `bytes` have followed; nothing where they are not allowed.
  std::optional<int64_t> bytes_to_end_after(std::string_view bytes);
  bool can_end() const { return state(current_).can_end; }
  /// Nothing more may come: the text is complete.
  bool must_end() const { return can_end() && state(current_).configs.empty(); }

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
  /// What a node allows whatever its stack is, and the trie's nodes at which its rule has ended.
  struct Local {
    std::vector<int32_t> tokens;
    std::vector<int32_t> leaves_at;
  };

  const State& state(StateId id) const { return states_[static_cast<size_t>(id)]; }
  void clear_caches();
  void trim();
  FrameId frame(NodeId back, FrameId parent);
  StateId closure(std::vector<Config> work);
  StateId step(StateId from, uint8_t byte);
  int64_t distance(StateId id);
  template <typename OnToken, typename OnLeft>
  void walk(int32_t root, StateId start, OnToken on_token, OnLeft on_left);
  const Local& local(NodeId node);
  const std::vector<int32_t>& beyond(const Config& config);

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const TokenTrie> trie_;
  std::vector<State> states_;
  std::vector<Frame> frames_;
  std::unordered_map<uint64_t, FrameId> frame_ids_;
  std::unordered_multimap<uint64_t, StateId> state_ids_;  // by hash of the configurations
  std::unordered_map<NodeId, Local> locals_;
  std::unordered_map<uint64_t, std::vector<int32_t>> beyond_;  // by configuration
  StateId current_ = 0;
  bool too_ambiguous_ = false;
  std::unordered_map<StateId, TokenMask> masks_;
  std::vector<int64_t> distances_;                        // of each node to its rule's end, once asked for
  std::unordered_map<FrameId, int64_t> frame_distances_;  // of all that a stack returns to
};

}  // namespace kinglet::grammar
