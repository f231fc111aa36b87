// A context-free grammar over bytes as a recursive transition network: for each rule a small automaton whose edges read a byte, read
// nothing, or call another rule (Woods 1970, "Transition network grammars for natural language analysis").
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace kinglet::grammar {

using ByteSet = std::bitset<256>;
using NodeId = int32_t;
using RuleId = int32_t;

struct Edge {
  enum class Kind : uint8_t { nothing, bytes, call };
  Kind kind;
  int32_t what;  ///< bytes: index of the set; call: the rule
  NodeId to;
};

/// Immutable once built (Builder::build); safe to share between threads.
struct Grammar {
  struct Node {
    int32_t first_edge = 0, edges = 0;
    bool end = false;       ///< its rule may end here
    bool only_end = false;  ///< nothing else can happen here: a call that returns to it needs no return
    bool reads = false;     ///< has an edge that reads a byte
  };
  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::vector<ByteSet> sets;
  std::vector<NodeId> starts;  ///< of each rule
  RuleId root = 0;
  /// Bytes that no edge tells apart have one class.
  std::array<uint8_t, 256> byte_class{};
  int classes = 1;

  std::span<const Edge> edges_of(NodeId node) const {
    const Node& n = nodes[static_cast<size_t>(node)];
    return std::span(edges).subspan(static_cast<size_t>(n.first_edge), static_cast<size_t>(n.edges));
  }
};

/// For each node the bytes that lead to its rule's end at least.
std::vector<int64_t> bytes_to_rule_end(const Grammar& grammar);

}  // namespace kinglet::grammar
