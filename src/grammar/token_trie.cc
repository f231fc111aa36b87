#include "grammar/token_trie.h"

#include <algorithm>
#include <numeric>
#include <string_view>

namespace kinglet::grammar {

TokenTrie::TokenTrie(std::span<const std::string> pieces) : vocab_size_(static_cast<int32_t>(pieces.size())) {
  std::vector<int32_t> order(pieces.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](int32_t id) { return pieces[static_cast<size_t>(id)].empty(); });
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const int c = pieces[static_cast<size_t>(a)].compare(pieces[static_cast<size_t>(b)]);
    return c != 0 ? c < 0 : a < b;
  });
  std::vector<int32_t> path{0};  // nodes from the root to the last one
  nodes_.push_back({});
  std::string_view before;
  for (const int32_t id : order) {
    const std::string_view piece = pieces[static_cast<size_t>(id)];
    const auto common = static_cast<size_t>(
        std::mismatch(before.begin(), before.end(), piece.begin(), piece.end()).first - before.begin());
    for (; path.size() > common + 1; path.pop_back())
      nodes_[static_cast<size_t>(path.back())].next = static_cast<int32_t>(nodes_.size());
    for (size_t i = common; i < piece.size(); ++i) {
      path.push_back(static_cast<int32_t>(nodes_.size()));
      nodes_.push_back({.byte = static_cast<uint8_t>(piece[i]), .depth = static_cast<int32_t>(i + 1)});
    }
    Node& node = nodes_[static_cast<size_t>(path.back())];
    if (node.tokens == 0) node.first_token = static_cast<int32_t>(ids_.size());
    ++node.tokens;
    ids_.push_back(id);
    before = piece;
  }
  for (const int32_t node : path) nodes_[static_cast<size_t>(node)].next = static_cast<int32_t>(nodes_.size());
}

}  // namespace kinglet::grammar
