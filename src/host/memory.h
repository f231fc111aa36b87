// Large blocks of memory straight from the operating system, and what the machine has of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "host/ledger.h"

namespace kinglet {

/// Zeroed, page-aligned memory that is counted in a ledger. Pages that are never touched cost nothing.
class Block {
 public:
  static Result<Block> allocate(uint64_t bytes, MemoryUse use, Ledger& ledger);
  Block() = default;
  Block(Block&& other) noexcept { *this = static_cast<Block&&>(other); }
  Block& operator=(Block&& other) noexcept;
  ~Block();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  MemoryUse use_ = MemoryUse::other;
  Ledger* ledger_ = nullptr;
};

/// Tells the system that mapped file pages wholly inside `bytes` are not needed now: they leave the resident set and come back
/// from the file when read again. Only for read-only file maps.
void forget_pages(std::span<const std::byte> bytes);

/// Whether large blocks get pages of 2 MB.
bool has_huge_pages();

/// How many bytes of the one map that holds `address` are in pages of 2 MB just now; 0 where the system does not tell. It looks at
/// each page of this process (some ms for GBs of small ones).
uint64_t huge_mapped_bytes(const std::byte* address);

/// This machine's memory, and the largest resident set this process has had; 0 where the system does not tell.
uint64_t machine_memory_bytes();
uint64_t available_memory_bytes();
uint64_t peak_resident_bytes();

}  // namespace kinglet
