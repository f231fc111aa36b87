// From expressions to the automaton: Thompson's construction for each rule, then what cannot be completed is cut away.
#include <algorithm>
#include <map>

#include "grammar/builder.h"
#include "host/error.h"

namespace kinglet::grammar {
namespace {

constexpr size_t kMostNodes = 400'000;
constexpr int kDeepest = 2000;  // nesting of expressions

Status too_large() {
  return Status(Code::resource_exhausted, "the grammar is too large: use smaller bounds or fewer alternatives");
}

}  // namespace

class Compiler {
 public:
  Compiler(const Builder& builder, RuleId root) : b_(builder) {
    out_.root = root;
    out_.sets = builder.sets_;
  }

  Result<Grammar> run() {
    for (size_t r = 0; r < b_.rules_.size(); ++r) {
      if (b_.rules_[r].body < 0) return error(Code::invalid_argument, "rule {} is not defined", b_.rules_[r].name);
      const NodeId start = new_node(), end = new_node();
      nodes_[static_cast<size_t>(end)].end = true;
      out_.starts.push_back(start);
      ends_.push_back(end);
      KL_TRY(emit(b_.rules_[r].body, start, end, 0));
    }
    find_productive();
    if (!productive_[static_cast<size_t>(out_.starts[static_cast<size_t>(out_.root)])])
      return Status(Code::invalid_argument, "no text matches the grammar");
    KL_TRY(refuse_left_recursion());
    lay_out();
    classify_bytes();
    return std::move(out_);
  }

 private:
  struct Draft {
    std::vector<Edge> edges;
    bool end = false;
  };

  NodeId new_node() {
    nodes_.emplace_back();
    return static_cast<NodeId>(nodes_.size() - 1);
  }
  void connect(NodeId from, NodeId to, Edge::Kind kind = Edge::Kind::nothing, int32_t what = 0) {
    nodes_[static_cast<size_t>(from)].edges.push_back({kind, what, to});
  }

  Status emit(int32_t id, NodeId from, NodeId to, int depth) {
    if (nodes_.size() > kMostNodes || depth > kDeepest) return too_large();
    const Builder::Node& n = b_.nodes_[static_cast<size_t>(id)];
    switch (n.kind) {
      case Builder::Kind::bytes:
        connect(from, to, Edge::Kind::bytes, n.a);
        return ok_status();
      case Builder::Kind::call:
        connect(from, to, Edge::Kind::call, n.a);
        return ok_status();
      case Builder::Kind::sequence:
        return emit_sequence(n, from, to, depth);
      case Builder::Kind::choice:
        for (const int32_t part : n.parts) {
          const NodeId start = new_node();  // of its own: alternatives' loops must not meet
          connect(from, start);
          KL_TRY(emit(part, start, to, depth + 1));
        }
        return ok_status();
      case Builder::Kind::repeat:
        return emit_repeat(n, from, to, depth);
    }
    return ok_status();
  }

  Status emit_sequence(const Builder::Node& n, NodeId from, NodeId to, int depth) {
    for (size_t i = 0; i + 1 < n.parts.size(); ++i) {
      const NodeId next = new_node();
      KL_TRY(emit(n.parts[i], from, next, depth + 1));
      from = next;
    }
    if (n.parts.empty()) {
      connect(from, to);
      return ok_status();
    }
    return emit(n.parts.back(), from, to, depth + 1);
  }

  Status emit_repeat(const Builder::Node& n, NodeId from, NodeId to, int depth) {
    for (int64_t i = 0; i < n.min; ++i) {
      const NodeId next = new_node();
      KL_TRY(emit(n.a, from, next, depth + 1));
      from = next;
    }
    if (n.max == kUnbounded) {
      const NodeId loop = new_node(), back = new_node();
      connect(from, loop);
      KL_TRY(emit(n.a, loop, back, depth + 1));
      connect(back, loop);
      connect(loop, to);
      return ok_status();
    }
    for (int64_t i = n.min; i < n.max; ++i) {
      const NodeId start = new_node(), next = new_node();
      connect(from, to);
      connect(from, start);
      KL_TRY(emit(n.a, start, next, depth + 1));
      from = next;
    }
    connect(from, to);
    return ok_status();
  }

  bool rule_ends(int32_t rule) const {
    return productive_[static_cast<size_t>(out_.starts[static_cast<size_t>(rule)])];
  }
  bool can_follow(const Edge& e) const {
    if (!productive_[static_cast<size_t>(e.to)]) return false;
    if (e.kind == Edge::Kind::call) return rule_ends(e.what);
    return e.kind == Edge::Kind::nothing || out_.sets[static_cast<size_t>(e.what)].any();
  }

  // Nodes from which their rule's end can be reached.
  void find_productive() {
    productive_.assign(nodes_.size(), false);
    for (const NodeId end : ends_) productive_[static_cast<size_t>(end)] = true;
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = nodes_.size(); i-- > 0;) {
        if (productive_[i]) continue;
        const auto& edges = nodes_[i].edges;
        if (std::any_of(edges.begin(), edges.end(), [&](const Edge& e) { return can_follow(e); }))
          productive_[i] = changed = true;
      }
    }
  }

  // Rules that can match the empty text, by whether their end is reached from their start without a byte.
  std::vector<bool> empty_rules() const {
    std::vector<bool> empty(ends_.size(), false);
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t r = 0; r < ends_.size(); ++r) {
        if (empty[r]) continue;
        bool reaches = false;
        walk_without_reading(
            out_.starts[r], empty, [&](NodeId n) { reaches = reaches || n == ends_[r]; }, [](int32_t) {});
        if (reaches) empty[r] = changed = true;
      }
    }
    return empty;
  }

  template <typename OnNode, typename OnCall>
  void walk_without_reading(NodeId start, const std::vector<bool>& empty, OnNode on_node, OnCall on_call) const {
    std::vector<NodeId> work{start};
    std::map<NodeId, bool> seen{{start, true}};
    while (!work.empty()) {
      const NodeId n = work.back();
      work.pop_back();
      on_node(n);
      for (const Edge& e : nodes_[static_cast<size_t>(n)].edges) {
        if (!can_follow(e) || e.kind == Edge::Kind::bytes) continue;
        if (e.kind == Edge::Kind::call) on_call(e.what);
        const bool passes = e.kind == Edge::Kind::nothing || empty[static_cast<size_t>(e.what)];
        if (passes && !seen[e.to]) {
          seen[e.to] = true;
          work.push_back(e.to);
        }
      }
    }
  }

  Status refuse_left_recursion() const {
    const std::vector<bool> empty = empty_rules();
    std::vector<std::vector<int32_t>> first_calls(ends_.size());
    for (size_t r = 0; r < ends_.size(); ++r)
      walk_without_reading(
          out_.starts[r], empty, [](NodeId) {}, [&](int32_t called) { first_calls[r].push_back(called); });
    // Rules without first calls (to what is left) are taken away until none are: what stays lies on or before a cycle.
    std::vector<bool> gone(ends_.size(), false);
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t r = 0; r < ends_.size(); ++r) {
        if (gone[r]) continue;
        const auto& calls = first_calls[r];
        if (std::all_of(calls.begin(), calls.end(), [&](int32_t c) { return gone[static_cast<size_t>(c)]; }))
          gone[r] = changed = true;
      }
    }
    const auto stuck = std::find(gone.begin(), gone.end(), false);
    if (stuck == gone.end()) return ok_status();
    return error(Code::unsupported, "rule {} calls itself before it reads anything (left recursion)",
                 b_.rules_[static_cast<size_t>(stuck - gone.begin())].name);
  }

  void lay_out() {
    out_.nodes.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Grammar::Node& n = out_.nodes[i];
      n.first_edge = static_cast<int32_t>(out_.edges.size());
      n.end = nodes_[i].end;
      for (const Edge& e : nodes_[i].edges) {
        if (!can_follow(e)) continue;
        out_.edges.push_back(e);
        n.reads = n.reads || e.kind == Edge::Kind::bytes;
      }
      n.edges = static_cast<int32_t>(out_.edges.size()) - n.first_edge;
    }
    for (size_t i = 0; i < nodes_.size(); ++i) out_.nodes[i].only_end = ends_here(static_cast<NodeId>(i));
  }

  bool ends_here(NodeId node) const {
    for (size_t steps = 0; steps < nodes_.size(); ++steps) {
      const Grammar::Node& n = out_.nodes[static_cast<size_t>(node)];
      if (n.edges == 0) return n.end;
      const Edge& e = out_.edges[static_cast<size_t>(n.first_edge)];
      if (n.end || n.edges != 1 || e.kind != Edge::Kind::nothing) return false;
      node = e.to;
    }
    return false;
  }

  void classify_bytes() {
    std::map<std::vector<bool>, int> classes;
    for (size_t byte = 0; byte < 256; ++byte) {
      std::vector<bool> row;
      for (const ByteSet& set : out_.sets) row.push_back(set[byte]);
      const auto [at, added] = classes.emplace(std::move(row), static_cast<int>(classes.size()));
      out_.byte_class[byte] = static_cast<uint8_t>(at->second);
    }
    out_.classes = static_cast<int>(classes.size());
  }

  const Builder& b_;
  Grammar out_;
  std::vector<Draft> nodes_;
  std::vector<NodeId> ends_;
  std::vector<bool> productive_;
};

Result<Grammar> Builder::build(RuleId root) const {
  if (too_large_) return too_large();
  return Compiler(*this, root).run();
}

}  // namespace kinglet::grammar
