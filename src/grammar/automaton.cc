#include "grammar/automaton.h"

#include <algorithm>

namespace kinglet::grammar {
namespace {

constexpr int32_t kBottom = 0;  // the empty stack
constexpr int32_t kOpen = 1;    // a stack that is not known
constexpr int32_t kUnknown = -2, kDead = -1, kAmbiguous = -3;
constexpr size_t kMostConfigs = 4096;
constexpr size_t kMostLearnt = size_t{32} << 20;
constexpr size_t kNodeBytes = 48;  // of a hash table's entry, beside what it holds

uint64_t key_of(int32_t a, int32_t b) {
  return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
}

Status ambiguous() {
  return Status(Code::resource_exhausted, "the grammar is too ambiguous: too many ways of reading the text are open");
}

uint64_t bytes_of(const Grammar& g) {
  return sizeof(Grammar) + g.nodes.size() * sizeof(Grammar::Node) + g.edges.size() * sizeof(Edge) +
         g.sets.size() * sizeof(ByteSet) + g.starts.size() * sizeof(NodeId);
}

}  // namespace

void Automaton::TokenSet::pack(size_t words) {
  if (ids.size() * sizeof(int32_t) < words * sizeof(uint64_t)) return ids.shrink_to_fit();
  mask.assign(words, 0);
  for (const int32_t id : ids) mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  ids = {};
}

void Automaton::TokenSet::add_to(TokenMask& out) const {
  for (const int32_t id : ids) out[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  for (size_t i = 0; i < mask.size(); ++i) out[i] |= mask[i];
}

Automaton::Automaton(Grammar grammar, std::shared_ptr<const TokenTrie> trie)
    : grammar_(std::move(grammar)),
      trie_(std::move(trie)),
      own_bytes_(bytes_of(grammar_)),
      bytes_(own_bytes_),
      trim_at_(kMostLearnt) {
  forget();
}

// ---- what texts ask for

std::shared_ptr<Automaton::Place> Automaton::begin() {
  auto place = std::make_shared<Place>();
  const std::lock_guard lock(mutex_);
  move(*place, start());
  std::erase_if(places_, [](const auto& other) { return other.expired(); });
  places_.push_back(place);
  return place;
}

void Automaton::restart(Place& place) {
  const std::lock_guard lock(mutex_);
  move(place, start());
}

Status Automaton::accept(Place& place, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  const StateId to = read(place.state, bytes);
  if (to == kAmbiguous) return ambiguous();
  if (to == kDead) return Status(Code::invalid_argument, "the grammar does not allow this text");
  move(place, to);
  if (learnt_ > trim_at_) trim();
  count_bytes();
  return ok_status();
}

Result<std::shared_ptr<const TokenMask>> Automaton::allowed(const Place& place) {
  const std::lock_guard lock(mutex_);
  if (const auto known = masks_.find(place.state); known != masks_.end()) return known->second;
  auto mask = std::make_shared<TokenMask>(mask_words());
  const std::vector<Config> configs = state(place.state).configs;
  for (const Config& c : configs) {
    const TokenSet& inside = local(c.node).tokens;
    inside.add_to(*mask);
    if (inside.ambiguous) return ambiguous();
    const TokenSet& outside = beyond(c);
    outside.add_to(*mask);
    if (outside.ambiguous) return ambiguous();
  }
  learnt(mask->size() * sizeof(uint64_t) + kNodeBytes);
  count_bytes();
  return masks_[place.state] = std::move(mask);
}

std::optional<int64_t> Automaton::bytes_to_end_after(const Place& place, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  const StateId to = read(place.state, bytes);
  if (to < 0) return std::nullopt;
  return distance(to);
}

// ---- states

void Automaton::move(Place& place, StateId to) const {
  place = {to, state(to).can_end, state(to).can_end && state(to).configs.empty()};
}

void Automaton::count_bytes() { bytes_.store(own_bytes_ + learnt_, std::memory_order_relaxed); }

void Automaton::forget() {
  states_.clear();
  state_ids_.clear();
  frame_ids_.clear();
  locals_.clear();
  beyond_.clear();
  masks_.clear();
  frame_distances_.clear();
  frames_.assign(2, Frame{-1, -1});
  learnt_ = 0;
}

Automaton::FrameId Automaton::frame(NodeId back, FrameId parent) {
  const auto [at, added] = frame_ids_.emplace(key_of(back, parent), static_cast<FrameId>(frames_.size()));
  if (!added) return at->second;
  frames_.push_back({back, parent});
  learnt(sizeof(Frame) + kNodeBytes);
  return at->second;
}

Automaton::StateId Automaton::start() {
  return closure({{grammar_.starts[static_cast<size_t>(grammar_.root)], kBottom}});
}

// All that can be reached without reading a byte, as a state.
Automaton::StateId Automaton::closure(std::vector<Config> work) {
  State out;
  std::unordered_map<uint64_t, bool> seen;
  const auto push = [&](NodeId node, FrameId f) {
    if (!std::exchange(seen[key_of(node, f)], true)) work.push_back({node, f});
  };
  for (const Config& c : work) seen[key_of(c.node, c.frame)] = true;
  while (!work.empty()) {
    if (seen.size() > kMostConfigs * 4) return kAmbiguous;
    const Config c = work.back();
    work.pop_back();
    const Grammar::Node& n = grammar_.nodes[static_cast<size_t>(c.node)];
    if (n.reads) out.configs.push_back(c);
    if (n.end) {
      if (c.frame == kBottom) out.can_end = true;
      else if (c.frame == kOpen) out.left = true;
      else push(frames_[static_cast<size_t>(c.frame)].back, frames_[static_cast<size_t>(c.frame)].parent);
    }
    for (const Edge& e : grammar_.edges_of(c.node)) {
      if (e.kind == Edge::Kind::nothing) push(e.to, c.frame);
      if (e.kind == Edge::Kind::call) {
        // A call that nothing follows returns straight to where this rule returns: right recursion needs no stack.
        const bool tail = grammar_.nodes[static_cast<size_t>(e.to)].only_end;
        push(grammar_.starts[static_cast<size_t>(e.what)], tail ? c.frame : frame(e.to, c.frame));
      }
    }
  }
  if (out.configs.empty() && !out.can_end && !out.left) return kDead;
  std::sort(out.configs.begin(), out.configs.end());
  uint64_t hash = 1469598103934665603ull + (out.can_end ? 1 : 0) + (out.left ? 2 : 0);
  for (const Config& c : out.configs) hash = (hash ^ key_of(c.node, c.frame)) * 0x9E3779B97F4A7C15ull;
  const auto [first, last] = state_ids_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    const State& s = state(at->second);
    if (s.configs == out.configs && s.can_end == out.can_end && s.left == out.left) return at->second;
  }
  return add_state(std::move(out), hash);
}

Automaton::StateId Automaton::add_state(State made, uint64_t hash) {
  made.next.assign(static_cast<size_t>(grammar_.classes), kUnknown);
  learnt(sizeof(State) + made.configs.size() * sizeof(Config) + made.next.size() * sizeof(StateId) + kNodeBytes);
  states_.push_back(std::move(made));
  const auto id = static_cast<StateId>(states_.size() - 1);
  state_ids_.emplace(hash, id);
  return id;
}

Automaton::StateId Automaton::step(StateId from, uint8_t byte) {
  const size_t cls = grammar_.byte_class[byte];
  const StateId known = state(from).next[cls];
  if (known != kUnknown) return known;
  std::vector<Config> work;
  for (const Config& c : state(from).configs)
    for (const Edge& e : grammar_.edges_of(c.node))
      if (e.kind == Edge::Kind::bytes && grammar_.sets[static_cast<size_t>(e.what)][byte])
        work.push_back({e.to, c.frame});
  std::sort(work.begin(), work.end());
  work.erase(std::unique(work.begin(), work.end()), work.end());
  const StateId to = work.empty() ? kDead : closure(std::move(work));
  states_[static_cast<size_t>(from)].next[cls] = to;
  return to;
}

Automaton::StateId Automaton::read(StateId from, std::string_view bytes) {
  for (const char c : bytes) {
    from = step(from, static_cast<uint8_t>(c));
    if (from < 0) break;
  }
  return from;
}

int64_t Automaton::distance(StateId id) {
  if (state(id).can_end) return 0;
  if (distances_.empty()) {
    distances_ = bytes_to_rule_end(grammar_);
    own_bytes_ += distances_.size() * sizeof(int64_t);
  }
  int64_t best = INT64_MAX;
  for (const Config& c : state(id).configs) {
    int64_t sum = distances_[static_cast<size_t>(c.node)];
    std::vector<FrameId> stack;
    for (FrameId f = c.frame; f > kOpen && !frame_distances_.contains(f); f = frames_[static_cast<size_t>(f)].parent)
      stack.push_back(f);
    learnt(stack.size() * kNodeBytes);
    while (!stack.empty()) {
      const Frame& f = frames_[static_cast<size_t>(stack.back())];
      const int64_t below = f.parent > kOpen ? frame_distances_[f.parent] : 0;
      frame_distances_[stack.back()] = distances_[static_cast<size_t>(f.back)] + below;
      stack.pop_back();
    }
    if (c.frame > kOpen) sum += frame_distances_[c.frame];
    best = std::min(best, sum);
  }
  return best;
}

// Forgets everything but the states in which texts stand, whose stacks are built anew. Where those alone take much, it is long until the
// next time.
void Automaton::trim() {
  const std::vector<State> states = std::move(states_);
  const std::vector<Frame> frames = std::move(frames_);
  forget();
  std::unordered_map<FrameId, FrameId> moved{{kBottom, kBottom}};
  const auto move_frame = [&](FrameId f) {
    std::vector<FrameId> chain;
    for (; !moved.contains(f); f = frames[static_cast<size_t>(f)].parent) chain.push_back(f);
    FrameId to = moved[f];
    for (size_t i = chain.size(); i-- > 0;)
      moved[chain[i]] = to = frame(frames[static_cast<size_t>(chain[i])].back, to);
    return to;
  };
  std::unordered_map<StateId, StateId> kept;
  for (const auto& weak : places_) {
    const auto place = weak.lock();
    if (place == nullptr) continue;
    const auto [at, added] = kept.try_emplace(place->state);
    if (added) {
      const State& old = states[static_cast<size_t>(place->state)];
      State made{.configs = {}, .can_end = old.can_end, .left = false, .next = {}};
      for (const Config& c : old.configs) made.configs.push_back({c.node, move_frame(c.frame)});
      std::sort(made.configs.begin(), made.configs.end());
      at->second = add_state(std::move(made), 0);
    }
    place->state = at->second;
  }
  trim_at_ = std::max(kMostLearnt, 2 * learnt_);
}

// ---- tokens

// The subtree of trie node `root`, from a text that stands in `start`: the tokens whose bytes are allowed go to `out`, and on_left gets the
// nodes at which the bottom rule may have ended.
template <typename OnLeft>
void Automaton::walk(int32_t root, StateId start, TokenSet& out, OnLeft on_left) {
  const auto nodes = trie_->nodes();
  const int32_t end = nodes[static_cast<size_t>(root)].next, base = nodes[static_cast<size_t>(root)].depth;
  std::vector<StateId> path{start};
  for (int32_t i = root + 1; i < end;) {
    const TokenTrie::Node& n = nodes[static_cast<size_t>(i)];
    const auto depth = static_cast<size_t>(n.depth - base);
    const StateId to = step(path[depth - 1], n.byte);
    if (to < 0) {
      out.ambiguous = out.ambiguous || to == kAmbiguous;
      i = n.next;
      continue;
    }
    const auto ids = trie_->tokens_at(n);
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    const State& s = state(to);
    if (s.left) on_left(i);
    if (s.configs.empty()) {
      i = n.next;
      continue;
    }
    path.resize(depth);
    path.push_back(to);
    ++i;
  }
}

const Automaton::Local& Automaton::local(NodeId node) {
  const auto [at, added] = locals_.try_emplace(node);
  if (!added) return at->second;
  Local out;
  const StateId alone = add_state({.configs = {{node, kOpen}}, .next = {}}, 0);
  walk(0, alone, out.tokens, [&](int32_t i) { out.leaves_at.push_back(i); });
  out.tokens.pack(mask_words());
  learnt(out.tokens.bytes() + out.leaves_at.size() * sizeof(int32_t) + sizeof(Local) + kNodeBytes);
  return locals_[node] = std::move(out);
}

// Tokens that leave the configuration's rule and go on in those that it returns to.
const Automaton::TokenSet& Automaton::beyond(const Config& c) {
  const uint64_t key = key_of(c.node, c.frame);
  const auto [at, added] = beyond_.try_emplace(key);
  if (!added || c.frame == kBottom) return at->second;
  const Local& inside = local(c.node);
  TokenSet tokens;
  const Frame back = frames_[static_cast<size_t>(c.frame)];
  const StateId after = closure({{back.back, back.parent}});
  tokens.ambiguous = after == kAmbiguous;
  if (after >= 0 && !state(after).configs.empty())
    for (const int32_t i : inside.leaves_at) walk(i, after, tokens, [](int32_t) {});
  tokens.pack(mask_words());
  learnt(tokens.bytes() + sizeof(TokenSet) + kNodeBytes);
  return beyond_[key] = std::move(tokens);
}

}  // namespace kinglet::grammar
