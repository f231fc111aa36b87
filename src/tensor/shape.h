// Shapes are outermost first, as in Hugging Face files: a Linear's weight is (out, in). GGUF files list the
// innermost first; formats/gguf.cc turns them round, so nothing above it ever sees GGUF's order.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "base/checked.h"
#include "tensor/dtype.h"

namespace kinglet {

struct Shape {
  static constexpr int kMaxRank = 4;
  std::array<int64_t, kMaxRank> dims{1, 1, 1, 1};
  int rank = 0;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<int64_t> list) {
    for (int64_t d : list)
      if (rank < kMaxRank) dims[static_cast<size_t>(rank++)] = d;
  }
  constexpr int64_t operator[](int i) const { return dims[static_cast<size_t>(i)]; }
  constexpr bool operator==(const Shape&) const = default;

  /// Length of the innermost axis (1 for a scalar).
  constexpr int64_t inner() const { return rank == 0 ? 1 : dims[static_cast<size_t>(rank - 1)]; }
  /// How many rows of inner() values; call it on validated shapes.
  constexpr int64_t rows() const {
    int64_t n = 1;
    for (int i = 0; i + 1 < rank; ++i) n *= dims[static_cast<size_t>(i)];
    return n;
  }
  /// Number of values; nothing where a dimension is negative or the product overflows.
  constexpr std::optional<int64_t> count() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) {
      const int64_t d = dims[static_cast<size_t>(i)];
      if (d < 0) return std::nullopt;
      const auto next = checked_mul(n, d);
      if (!next) return std::nullopt;
      n = *next;
    }
    return n;
  }
};

/// Bytes of a tensor; nothing where a row is no whole number of blocks or the product overflows.
constexpr std::optional<uint64_t> tensor_bytes(DType t, const Shape& shape) {
  const auto count = shape.count();
  if (!count) return std::nullopt;
  if (*count == 0) return 0;
  const auto row = row_bytes(t, static_cast<uint64_t>(shape.inner()));
  if (!row) return std::nullopt;
  return checked_mul<uint64_t>(*row, static_cast<uint64_t>(*count / shape.inner()));
}

}  // namespace kinglet
