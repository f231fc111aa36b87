// Byte-pair merging: of all neighbouring pairs that have a rank, the least rank (the leftmost of equals) becomes one
// symbol, until none is left. Words of a few symbols are merged in place with a linear search; longer ones with a heap,
// so that a megabyte of one letter costs n log n and not n squared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>

#include "tokenizer/model.h"

namespace kinglet {

struct PairMerge {
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  uint32_t rank = kNone;
  int32_t id = -1;
};

namespace bpe_internal {

inline constexpr size_t kShortWord = 32;

/// Symbols lie side by side in `symbols`; prev and next are not kept.
template <typename Rules>
void merge_short(std::string_view word, const Rules& rules, std::vector<MergeSymbol>& symbols) {
  PairMerge pairs[kShortWord];
  size_t n = symbols.size();
  for (size_t i = 0; i + 1 < n; ++i) pairs[i] = rules.pair(word, symbols[i], symbols[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == PairMerge::kNone) break;
    symbols[best].size += symbols[best + 1].size;
    symbols[best].id = pairs[best].id;
    for (size_t i = best + 1; i + 1 < n; ++i) symbols[i] = symbols[i + 1];
    --n;
    for (size_t i = best + 1; i + 1 < n; ++i) pairs[i] = pairs[i + 1];
    if (best + 1 < n) pairs[best] = rules.pair(word, symbols[best], symbols[best + 1]);
    if (best > 0) pairs[best - 1] = rules.pair(word, symbols[best - 1], symbols[best]);
  }
  symbols.resize(n);
}

inline bool later(const MergeCandidate& a, const MergeCandidate& b) { return a.order > b.order; }

template <typename Rules>
void merge_long(std::string_view word, const Rules& rules, EncodeScratch& scratch) {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  const auto n = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i < n; ++i) {
    symbols[static_cast<size_t>(i)].prev = i - 1;
    symbols[static_cast<size_t>(i)].next = i + 1 < n ? i + 1 : -1;
  }
  const auto candidate = [&](int32_t left, MergeCandidate& out) {
    const MergeSymbol& l = symbols[static_cast<size_t>(left)];
    const MergeSymbol& r = symbols[static_cast<size_t>(l.next)];
    const PairMerge pair = rules.pair(word, l, r);
    out = {static_cast<uint64_t>(pair.rank) << 32 | static_cast<uint32_t>(left), l.size + r.size, pair.id};
    return pair.rank != PairMerge::kNone;
  };
  heap.clear();
  MergeCandidate c;
  for (int32_t i = 0; i + 1 < n; ++i) {
    if (candidate(i, c)) heap.push_back(c);
  }
  std::make_heap(heap.begin(), heap.end(), later);
  const auto push = [&](int32_t left) {
    if (!candidate(left, c)) return;
    heap.push_back(c);
    std::push_heap(heap.begin(), heap.end(), later);
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const MergeCandidate best = heap.back();
    heap.pop_back();
    const auto left = static_cast<int32_t>(best.order & 0xFFFFFFFF);
    MergeSymbol& l = symbols[static_cast<size_t>(left)];
    if (l.size == 0 || l.next < 0) continue;
    MergeSymbol& r = symbols[static_cast<size_t>(l.next)];
    // Symbols only grow, so a pair of the same length at the same place is the same pair.
    if (l.size + r.size != best.size) continue;
    l.size = best.size;
    l.id = best.id;
    l.next = r.next;
    r.size = 0;
    if (l.next >= 0) symbols[static_cast<size_t>(l.next)].prev = left;
    if (l.prev >= 0) push(l.prev);
    if (l.next >= 0) push(left);
  }
  std::erase_if(symbols, [](const MergeSymbol& s) { return s.size == 0; });
}

}  // namespace bpe_internal

/// Merges scratch.symbols (each with begin, size and id; in order, covering `word`) and leaves what remains, in order.
/// Rules::pair(word, left, right) gives the rank and the result of a pair of neighbours.
template <typename Rules>
void merge_symbols(std::string_view word, const Rules& rules, EncodeScratch& scratch) {
  if (scratch.symbols.size() <= bpe_internal::kShortWord) {
    bpe_internal::merge_short(word, rules, scratch.symbols);
  } else {
    bpe_internal::merge_long(word, rules, scratch);
  }
}

}  // namespace kinglet
