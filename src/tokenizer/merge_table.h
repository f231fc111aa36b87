// The merges of a BPE file: from a pair of symbols to the rank and the symbol they become.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/bpe_merge.h"
#include "tokenizer/vocabulary.h"

namespace kinglet {

/// Symbols are token ids. A merge may name a text that is no token (trimmed vocabularies have such): it gets a symbol
/// past the vocabulary, so that merges which pass through it still happen; what is left of it at the end is spelled by
/// its bytes.
class MergeTable {
 public:
  static constexpr size_t kMaxMerges = size_t{1} << 24;

  explicit MergeTable(const Vocabulary& vocabulary) : vocabulary_(&vocabulary) {}
  void reserve(size_t count);
  /// Adds the next merge in rank. Errors (corrupt): an empty side, too many, a result that is too long.
  Status add(std::string_view left, std::string_view right);
  /// Adds a merge written "left right"; the first space after the first byte parts them.
  Status add(std::string_view spaced);

  PairMerge find(int32_t left, int32_t right) const {
    if (slots_.empty()) return {};
    const uint64_t key = pair_key(left, right);
    const size_t mask = slots_.size() - 1;
    for (size_t at = place(key);; at = (at + 1) & mask) {
      const Slot& slot = slots_[at];
      if (slot.key == key) return {slot.rank, slot.id};
      if (slot.key == kEmpty) return {};
    }
  }
  size_t size() const { return used_; }
  /// The symbol of a text that is no token; -1 where no merge names it.
  int32_t find_extra(std::string_view text) const;
  template <typename F>
  void for_each_extra(F&& f) const {
    for (size_t i = 0; i < extra_.size(); ++i) f(extra_[i]);
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Slot {
    uint64_t key = kEmpty;
    uint32_t rank = 0;
    int32_t id = -1;
  };
  static uint64_t pair_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t place(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }
  int32_t symbol(std::string_view text);
  void grow();

  const Vocabulary* vocabulary_;
  TextTable extra_;
  TextIndex extra_index_;
  std::vector<Slot> slots_;
  int shift_ = 64;
  size_t used_ = 0;
  uint32_t next_rank_ = 0;
  std::string joined_;
};

}  // namespace kinglet
