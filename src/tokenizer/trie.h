// A byte trie over the texts of tokens: all tokens that begin at a place in one walk.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace kinglet {

class Trie {
 public:
  struct Entry {
    std::string_view text;
    int32_t value;
  };
  static constexpr int32_t kNone = -1;
  static constexpr uint32_t kRoot = 0;

  Trie() { root_.fill(kNoChild); }
  /// Entries in any order; of equal texts the first counts; empty ones are left out.
  explicit Trie(std::vector<Entry> entries);

  /// The child of `node` by `byte`, or kRoot where there is none.
  uint32_t child(uint32_t node, uint8_t byte) const {
    if (node == kRoot) return root_[byte];
    const Node& n = nodes_[node];
    if (n.children == 0) return kNoChild;
    const uint8_t* labels = labels_.data() + n.first_child;
    if (n.children <= 4) {
      for (uint32_t i = 0; i < n.children; ++i) {
        if (labels[i] == byte) return n.first_child + i;
      }
      return kNoChild;
    }
    const void* at = std::memchr(labels, byte, n.children);
    return at == nullptr ? kNoChild : n.first_child + static_cast<uint32_t>(static_cast<const uint8_t*>(at) - labels);
  }
  int32_t value(uint32_t node) const { return nodes_.empty() ? kNone : nodes_[node].value; }
  bool starts(uint8_t byte) const { return root_[byte] != kNoChild; }

  static constexpr uint32_t kNoChild = kRoot;  // no node has the root for a child

 private:
  struct Node {
    uint32_t first_child = 0;
    uint32_t children = 0;
    int32_t value = kNone;
  };
  std::vector<Node> nodes_;      // the children of a node lie side by side
  std::vector<uint8_t> labels_;  // the byte that leads into each node
  std::array<uint32_t, 256> root_{};
};

}  // namespace kinglet
