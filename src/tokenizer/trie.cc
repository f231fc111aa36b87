#include "tokenizer/trie.h"

#include <algorithm>

namespace kinglet {
namespace {

/// The first eight bytes as a number that sorts as they do: most comparisons end there.
uint64_t sort_key(std::string_view text) {
  uint64_t key = 0;
  for (size_t i = 0; i < 8; ++i) key = key << 8 | (i < text.size() ? static_cast<uint8_t>(text[i]) : 0);
  return key;
}

struct Sorted {
  uint64_t key;
  std::string_view text;
  int32_t value;
};

struct Range {
  uint32_t node, begin, end, depth;
};

}  // namespace

Trie::Trie(std::vector<Entry> entries) {
  root_.fill(kNoChild);
  std::vector<Sorted> sorted;
  sorted.reserve(entries.size());
  for (const Entry& entry : entries) {
    if (!entry.text.empty()) sorted.push_back({sort_key(entry.text), entry.text, entry.value});
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Sorted& a, const Sorted& b) { return a.key != b.key ? a.key < b.key : a.text < b.text; });
  nodes_.resize(1);
  labels_.resize(1);
  std::vector<Range> stack = {{kRoot, 0, static_cast<uint32_t>(sorted.size()), 0}};
  while (!stack.empty()) {
    Range range = stack.back();
    stack.pop_back();
    // Texts that end here come first in their range.
    for (; range.begin < range.end && sorted[range.begin].text.size() == range.depth; ++range.begin) {
      if (nodes_[range.node].value == kNone) nodes_[range.node].value = sorted[range.begin].value;
    }
    const auto first = static_cast<uint32_t>(nodes_.size());
    for (uint32_t i = range.begin; i < range.end;) {
      const char label = sorted[i].text[range.depth];
      uint32_t end = i + 1;
      while (end < range.end && sorted[end].text[range.depth] == label) ++end;
      stack.push_back({static_cast<uint32_t>(nodes_.size()), i, end, range.depth + 1});
      nodes_.emplace_back();
      labels_.push_back(static_cast<uint8_t>(label));
      i = end;
    }
    nodes_[range.node].first_child = first;
    nodes_[range.node].children = static_cast<uint32_t>(nodes_.size()) - first;
  }
  for (uint32_t i = 0; i < nodes_[kRoot].children; ++i) {
    root_[labels_[nodes_[kRoot].first_child + i]] = nodes_[kRoot].first_child + i;
  }
}

}  // namespace kinglet
