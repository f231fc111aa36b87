// The memory ledger: what is going to be used is counted before it is allocated, so that a limit is held or refused with
// the breakdown.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "base/status.h"

namespace kinglet {

enum class MemoryUse : uint8_t { weights, packed_weights, key_values, activations, other };
inline constexpr size_t kMemoryUses = 5;
std::string_view name(MemoryUse use);

class Ledger {
 public:
  explicit Ledger(uint64_t limit_bytes = UINT64_MAX) : limit_(limit_bytes) {}

  /// Counts `bytes` more. Errors: resource_exhausted with the breakdown where the limit would be passed (nothing is counted then).
  Status reserve(MemoryUse use, uint64_t bytes);
  void release(MemoryUse use, uint64_t bytes);

  uint64_t used(MemoryUse use) const;
  uint64_t total() const;
  uint64_t limit() const { return limit_; }
  std::string breakdown() const;  ///< "weights 379.4 MB, key_values 48.0 MB, ..."

 private:
  uint64_t total_locked() const;
  std::string breakdown_locked() const;

  uint64_t limit_;
  mutable std::mutex mutex_;
  std::array<uint64_t, kMemoryUses> used_{};
};

/// "512M", "6G", "1.5GiB", "800000000" (1G is 2^30). Errors: invalid_argument.
Result<uint64_t> parse_bytes(std::string_view text);
/// "1.5 GB" and the like, for people (1 GB is 2^30).
std::string format_bytes(uint64_t bytes);

}  // namespace kinglet
