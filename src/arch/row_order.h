// The two orders in which the rows of a head that rope turns are stored: halves (Hugging Face: i and i + D / 2 are turned
// together) and interleaved (GGUF's llama family: 2i and 2i + 1 are).
#pragma once

#include <cstdint>

namespace kinglet {

enum class RowOrder : uint8_t { halves, interleaved };

/// The row of the other order that lies at `row` of `to`; each head has head_rows of them.
inline int64_t source_row(int64_t row, int64_t head_rows, RowOrder to) {
  const int64_t r = row % head_rows, half = head_rows / 2;
  return row - r + (to == RowOrder::interleaved ? r % 2 * half + r / 2 : r % half * 2 + r / half);
}

}  // namespace kinglet
