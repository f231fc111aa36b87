// The types a tensor's values can have. The list is tensor/dtype.def.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/checked.h"

namespace kinglet {

enum class DType : uint8_t {
#define KINGLET_DTYPE(id, gguf, name, values, bytes) id,
#include "tensor/dtype.def"
#undef KINGLET_DTYPE
};

struct DTypeInfo {
  DType dtype;
  uint32_t gguf;          ///< type number in a GGUF file
  std::string_view name;  ///< lower case, e.g. "q4_k"
  uint32_t block_values;  ///< values that one block holds; a row is a whole number of blocks
  uint32_t block_bytes;
};

inline constexpr DTypeInfo kDTypes[] = {
#define KINGLET_DTYPE(id, gguf, name, values, bytes) {DType::id, gguf, name, values, bytes},
#include "tensor/dtype.def"
#undef KINGLET_DTYPE
};
inline constexpr size_t kDTypeCount = sizeof(kDTypes) / sizeof(kDTypes[0]);

constexpr const DTypeInfo& info(DType t) { return kDTypes[static_cast<size_t>(t)]; }
constexpr std::string_view name(DType t) { return info(t).name; }
constexpr bool is_quantized(DType t) { return info(t).block_values > 1; }

constexpr std::optional<DType> dtype_from_gguf(uint32_t number) {
  for (const auto& d : kDTypes)
    if (d.gguf == number) return d.dtype;
  return std::nullopt;
}

/// By name, without regard to case ("Q4_K", "bf16").
constexpr std::optional<DType> dtype_from_name(std::string_view text) {
  for (const auto& d : kDTypes) {
    if (d.name.size() != text.size()) continue;
    bool same = true;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
      same = same && c == d.name[i];
    }
    if (same) return d.dtype;
  }
  return std::nullopt;
}

/// Bytes of a row of `values` values; nothing where that is no whole number of blocks or overflows.
constexpr std::optional<uint64_t> row_bytes(DType t, uint64_t values) {
  const DTypeInfo& d = info(t);
  if (values % d.block_values != 0) return std::nullopt;
  return checked_mul<uint64_t>(values / d.block_values, d.block_bytes);
}

}  // namespace kinglet
