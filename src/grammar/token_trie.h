// A vocabulary's tokens as a tree of bytes, in one array in depth-first order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kinglet::grammar {

class TokenTrie {
 public:
  struct Node {
    uint8_t byte = 0;         ///< that leads here
    int32_t depth = 0;        ///< bytes from the root; the root's is 0
    int32_t next = 0;         ///< first node behind this one's subtree
    int32_t first_token = 0;  ///< tokens that end here: ids()[first_token, first_token + tokens)
    int32_t tokens = 0;
  };

  /// `pieces`: bytes of each token; an empty one (a control token) is never allowed.
  explicit TokenTrie(std::span<const std::string> pieces);

  std::span<const Node> nodes() const { return nodes_; }  ///< nodes()[0] is the root
  std::span<const int32_t> tokens_at(const Node& node) const {
    return std::span(ids_).subspan(static_cast<size_t>(node.first_token), static_cast<size_t>(node.tokens));
  }
  int32_t vocab_size() const { return vocab_size_; }

 private:
  std::vector<Node> nodes_;
  std::vector<int32_t> ids_;
  int32_t vocab_size_;
};

}  // namespace kinglet::grammar
