// What reading and writing an adapter share. Internal to arch/.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "arch/row_order.h"

namespace kinglet {

inline constexpr std::string_view kPeftPrefix = "base_model.model.";
/// Metadata of both formats: arch/fingerprint.h.
inline constexpr std::string_view kFingerprintKey = "kinglet.base.fingerprint";
inline constexpr int64_t kMaxRank = 65536;

/// Puts `rows` rows of a matrix, head_rows of them to a head, from the other order into `to`.
void reorder_rows(std::vector<float>& values, int64_t rows, int64_t head_rows, RowOrder to);

}  // namespace kinglet
