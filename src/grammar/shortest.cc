// The shortest ways through a grammar. Source: Knuth 1977, "A generalization of Dijkstra's algorithm" (a call costs what its rule costs).
#include <limits>
#include <queue>

#include "grammar/grammar.h"

namespace kinglet::grammar {
namespace {

constexpr int64_t kFar = std::numeric_limits<int64_t>::max() / 4;

class Shortest {
 public:
  explicit Shortest(const Grammar& grammar) : g_(grammar), distances_(g_.nodes.size(), kFar), final_(g_.nodes.size()) {
    // What has to be looked at again when a node's distance is known: edges to it, and calls of its rule.
    waiting_.resize(g_.nodes.size());
    for (size_t node = 0; node < g_.nodes.size(); ++node)
      for (const Edge& e : g_.edges_of(static_cast<NodeId>(node))) {
        waiting_[static_cast<size_t>(e.to)].push_back({static_cast<NodeId>(node), &e});
        if (e.kind == Edge::Kind::call) waiting_[start(e)].push_back({static_cast<NodeId>(node), &e});
      }
  }

  std::vector<int64_t> run() {
    for (size_t node = 0; node < g_.nodes.size(); ++node)
      if (g_.nodes[node].end) offer(static_cast<NodeId>(node), 0);
    while (!queue_.empty()) {
      const auto [distance, node] = queue_.top();
      queue_.pop();
      if (final_[static_cast<size_t>(node)]) continue;
      final_[static_cast<size_t>(node)] = true;
      for (const Waiting& w : waiting_[static_cast<size_t>(node)]) look_at(w);
    }
    return std::move(distances_);
  }

 private:
  struct Waiting {
    NodeId from;
    const Edge* edge;
  };
  using Entry = std::pair<int64_t, NodeId>;

  size_t start(const Edge& e) const { return static_cast<size_t>(g_.starts[static_cast<size_t>(e.what)]); }
  void offer(NodeId node, int64_t distance) {
    int64_t& known = distances_[static_cast<size_t>(node)];
    if (distance >= known) return;
    known = distance;
    queue_.push({distance, node});
  }
  void look_at(const Waiting& w) {
    const Edge& e = *w.edge;
    const auto to = static_cast<size_t>(e.to);
    if (!final_[to] || (e.kind == Edge::Kind::call && !final_[start(e)])) return;
    const int64_t step = e.kind == Edge::Kind::bytes ? 1 : e.kind == Edge::Kind::call ? distances_[start(e)] : 0;
    offer(w.from, std::min(kFar, distances_[to] + step));
  }

  const Grammar& g_;
  std::vector<int64_t> distances_;
  std::vector<bool> final_;
  std::vector<std::vector<Waiting>> waiting_;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
};

}  // namespace

std::vector<int64_t> bytes_to_rule_end(const Grammar& grammar) { return Shortest(grammar).run(); }

}  // namespace kinglet::grammar
