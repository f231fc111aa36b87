#include "grammar/matcher.h"

#include <algorithm>

namespace kinglet::grammar {
namespace {

constexpr int32_t kBottom = 0;  // the empty stack
constexpr int32_t kOpen = 1;    // a stack that is not known
constexpr int32_t kUnknown = -2, kDead = -1;
constexpr size_t kMostConfigs = 4096;
constexpr size_t kMostStates = 1 << 16;
constexpr size_t kMostMasks = 512;

uint64_t key_of(int32_t a, int32_t b) {
  return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
}

Status ambiguous() {
  return Status(Code::resource_exhausted, "the grammar is too ambiguous: too many ways of reading the text are open");
}

}  // namespace

Matcher::Matcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie)
    : grammar_(std::move(grammar)), trie_(std::move(trie)) {
  clear_caches();
  reset();
}

void Matcher::clear_caches() {
  states_.clear();
  state_ids_.clear();
  frame_ids_.clear();
  beyond_.clear();
  masks_.clear();
  frame_distances_.clear();
  frames_.assign(2, Frame{-1, -1});
}

void Matcher::reset() {
  too_ambiguous_ = false;
  current_ = closure({{grammar_->starts[static_cast<size_t>(grammar_->root)], kBottom}});
}

Matcher::FrameId Matcher::frame(NodeId back, FrameId parent) {
  const auto [at, added] = frame_ids_.emplace(key_of(back, parent), static_cast<FrameId>(frames_.size()));
  if (added) frames_.push_back({back, parent});
  return at->second;
}

// All that can be reached without reading a byte, as a state.
Matcher::StateId Matcher::closure(std::vector<Config> work) {
  State out;
  std::unordered_map<uint64_t, bool> seen;
  const auto push = [&](NodeId node, FrameId f) {
    if (!std::exchange(seen[key_of(node, f)], true)) work.push_back({node, f});
  };
  for (const Config& c : work) seen[key_of(c.node, c.frame)] = true;
  while (!work.empty()) {
    if (seen.size() > kMostConfigs * 4) {
      too_ambiguous_ = true;
      return kDead;
    }
    const Config c = work.back();
    work.pop_back();
    const Grammar::Node& n = grammar_->nodes[static_cast<size_t>(c.node)];
    if (n.reads) out.configs.push_back(c);
    if (n.end) {
      if (c.frame == kBottom) out.can_end = true;
      else if (c.frame == kOpen) out.left = true;
      else push(frames_[static_cast<size_t>(c.frame)].back, frames_[static_cast<size_t>(c.frame)].parent);
    }
    for (const Edge& e : grammar_->edges_of(c.node)) {
      if (e.kind == Edge::Kind::nothing) push(e.to, c.frame);
      if (e.kind == Edge::Kind::call) {
        // A call that nothing follows returns straight to where this rule returns: right recursion needs no stack.
        const bool tail = grammar_->nodes[static_cast<size_t>(e.to)].only_end;
        push(grammar_->starts[static_cast<size_t>(e.what)], tail ? c.frame : frame(e.to, c.frame));
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
  out.next.assign(static_cast<size_t>(grammar_->classes), kUnknown);
  states_.push_back(std::move(out));
  const auto id = static_cast<StateId>(states_.size() - 1);
  state_ids_.emplace(hash, id);
  return id;
}

Matcher::StateId Matcher::step(StateId from, uint8_t byte) {
  const size_t cls = grammar_->byte_class[byte];
  const StateId known = state(from).next[cls];
  if (known != kUnknown) return known;
  std::vector<Config> work;
  for (const Config& c : state(from).configs)
    for (const Edge& e : grammar_->edges_of(c.node))
      if (e.kind == Edge::Kind::bytes && grammar_->sets[static_cast<size_t>(e.what)][byte])
        work.push_back({e.to, c.frame});
  std::sort(work.begin(), work.end());
  work.erase(std::unique(work.begin(), work.end()), work.end());
  const StateId to = work.empty() ? kDead : closure(std::move(work));
  states_[static_cast<size_t>(from)].next[cls] = to;
  return to;
}

Status Matcher::accept(std::string_view bytes) {
  StateId at = current_;
  for (const char c : bytes) {
    at = step(at, static_cast<uint8_t>(c));
    if (too_ambiguous_) return ambiguous();
    if (at == kDead) return Status(Code::invalid_argument, "the grammar does not allow this text");
  }
  current_ = at;
  if (states_.size() > kMostStates) trim();
  return ok_status();
}

std::optional<int64_t> Matcher::bytes_to_end_after(std::string_view bytes) {
  StateId at = current_;
  for (const char c : bytes) {
    at = step(at, static_cast<uint8_t>(c));
    if (at == kDead) return std::nullopt;
  }
  return distance(at);
}

int64_t Matcher::distance(StateId id) {
  if (state(id).can_end) return 0;
  if (distances_.empty()) distances_ = bytes_to_rule_end(*grammar_);
  int64_t best = INT64_MAX;
  for (const Config& c : state(id).configs) {
    int64_t sum = distances_[static_cast<size_t>(c.node)];
    std::vector<FrameId> stack;
    for (FrameId f = c.frame; f > kOpen && !frame_distances_.contains(f); f = frames_[static_cast<size_t>(f)].parent)
      stack.push_back(f);
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

// Forgets every state but the current one, whose stacks are built anew.
void Matcher::trim() {
  const std::vector<Config> configs = state(current_).configs;
  const std::vector<Frame> frames = frames_;
  const bool can_end = state(current_).can_end;
  clear_caches();
  std::unordered_map<FrameId, FrameId> moved{{kBottom, kBottom}};
  const auto move = [&](FrameId f) {
    std::vector<FrameId> chain;
    for (; !moved.contains(f); f = frames[static_cast<size_t>(f)].parent) chain.push_back(f);
    FrameId to = moved[f];
    for (size_t i = chain.size(); i-- > 0;)
      moved[chain[i]] = to = frame(frames[static_cast<size_t>(chain[i])].back, to);
    return to;
  };
  State kept{.configs = {}, .can_end = can_end, .left = false, .next = {}};
  for (const Config& c : configs) kept.configs.push_back({c.node, move(c.frame)});
  std::sort(kept.configs.begin(), kept.configs.end());
  kept.next.assign(static_cast<size_t>(grammar_->classes), kUnknown);
  states_.push_back(std::move(kept));
  current_ = 0;
}

// The subtree of trie node `root`, from a text that stands in `start`: on_token for the tokens whose bytes are allowed, on_left for the nodes
// at which the bottom rule may have ended.
template <typename OnToken, typename OnLeft>
void Matcher::walk(int32_t root, StateId start, OnToken on_token, OnLeft on_left) {
  const auto nodes = trie_->nodes();
  const int32_t end = nodes[static_cast<size_t>(root)].next, base = nodes[static_cast<size_t>(root)].depth;
  std::vector<StateId> path{start};
  for (int32_t i = root + 1; i < end;) {
    const TokenTrie::Node& n = nodes[static_cast<size_t>(i)];
    const auto depth = static_cast<size_t>(n.depth - base);
    const StateId to = step(path[depth - 1], n.byte);
    if (to == kDead) {
      i = n.next;
      continue;
    }
    if (n.tokens > 0) on_token(n);
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

const Matcher::Local& Matcher::local(NodeId node) {
  const auto [at, added] = locals_.try_emplace(node);
  if (!added) return at->second;
  Local out;
  State alone{.configs = {{node, kOpen}}, .next = {}};
  alone.next.assign(static_cast<size_t>(grammar_->classes), kUnknown);
  states_.push_back(std::move(alone));
  walk(
      0, static_cast<StateId>(states_.size() - 1),
      [&](const TokenTrie::Node& n) {
        const auto ids = trie_->tokens_at(n);
        out.tokens.insert(out.tokens.end(), ids.begin(), ids.end());
      },
      [&](int32_t i) { out.leaves_at.push_back(i); });
  return locals_[node] = std::move(out);
}

// Tokens that leave the configuration's rule and go on in those that it returns to.
const std::vector<int32_t>& Matcher::beyond(const Config& c) {
  const auto [at, added] = beyond_.try_emplace(key_of(c.node, c.frame));
  if (!added || c.frame == kBottom) return at->second;
  const Local& inside = local(c.node);
  std::vector<int32_t> tokens;
  const Frame back = frames_[static_cast<size_t>(c.frame)];
  const StateId after = closure({{back.back, back.parent}});
  if (after != kDead && !state(after).configs.empty())
    for (const int32_t i : inside.leaves_at)
      walk(
          i, after,
          [&](const TokenTrie::Node& n) {
            const auto ids = trie_->tokens_at(n);
            tokens.insert(tokens.end(), ids.begin(), ids.end());
          },
          [](int32_t) {});
  return beyond_[key_of(c.node, c.frame)] = std::move(tokens);
}

Result<const TokenMask*> Matcher::allowed() {
  if (masks_.size() > kMostMasks) masks_.clear();
  const auto [at, added] = masks_.try_emplace(current_);
  if (!added) return &at->second;
  TokenMask mask((static_cast<size_t>(trie_->vocab_size()) + 63) / 64);
  const auto allow = [&](const std::vector<int32_t>& tokens) {
    for (const int32_t id : tokens) mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  };
  const std::vector<Config> configs = state(current_).configs;
  for (const Config& c : configs) {
    allow(local(c.node).tokens);
    allow(beyond(c));
  }
  if (too_ambiguous_) return ambiguous();
  return &(masks_[current_] = std::move(mask));
}

}  // namespace kinglet::grammar
