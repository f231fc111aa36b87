// Where tensors lie in a file's data: inside it, and not on top of one another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace kinglet {

struct Extent {
  uint64_t offset;
  uint64_t size;
};

constexpr bool lies_inside(const Extent& e, uint64_t total) { return e.offset <= total && e.size <= total - e.offset; }

/// Two extents that share a byte, by their places in `extents`; all must lie inside one file.
inline std::optional<std::pair<size_t, size_t>> find_overlap(std::span<const Extent> extents) {
  std::vector<size_t> order;
  for (size_t i = 0; i < extents.size(); ++i)
    if (extents[i].size > 0) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return extents[a].offset < extents[b].offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const Extent& before = extents[order[i - 1]];
    if (extents[order[i]].offset < before.offset + before.size) return std::pair(order[i - 1], order[i]);
  }
  return std::nullopt;
}

}  // namespace kinglet
