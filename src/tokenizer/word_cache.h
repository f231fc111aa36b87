// Remembers the ids of short words: text repeats itself, so most words of a long text are answered by one cache line.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/hash.h"
#include "tokenizer/token.h"

namespace kinglet {

/// Direct-mapped: a word that falls on another's place takes it. Every answer compares the whole word, so it is exact.
class WordCache {
 public:
  static constexpr size_t kMaxWord = 30;  ///< bytes
  static constexpr size_t kMaxIds = 8;

  /// Appends the ids of `word`: the remembered ones, or those that `compute` appends, which are remembered then.
  template <typename Compute>
  void encode(std::string_view word, std::vector<TokenId>& out, Compute&& compute) {
    if (word.size() > kMaxWord) return compute();
    const uint64_t hash = hash_bytes(word);
    size_t count = 0;
    if (const TokenId* known = find(word, hash, count)) {
      out.insert(out.end(), known, known + count);
      return;
    }
    const size_t before = out.size();
    compute();
    insert(word, hash, std::span(out).subspan(before));
  }

 private:
  /// Ids of `word` if they are known. `hash` is hash_bytes(word).
  const TokenId* find(std::string_view word, uint64_t hash, size_t& count) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[hash & (kSlots - 1)];
    if (slot.size != word.size() || std::memcmp(slot.word, word.data(), word.size()) != 0) return nullptr;
    count = slot.count;
    return slot.ids;
  }

  void insert(std::string_view word, uint64_t hash, std::span<const TokenId> ids) {
    if (word.empty() || word.size() > kMaxWord || ids.size() > kMaxIds) return;
    if (slots_.empty()) slots_.resize(kSlots);
    Slot& slot = slots_[hash & (kSlots - 1)];
    slot.size = static_cast<uint8_t>(word.size());
    slot.count = static_cast<uint8_t>(ids.size());
    std::memcpy(slot.word, word.data(), word.size());
    std::copy(ids.begin(), ids.end(), slot.ids);  // there may be none, and then data() may be null
  }

  static constexpr size_t kSlots = size_t{1} << 14;  // 1 MiB: what a core's second-level cache holds
  struct alignas(64) Slot {
    uint8_t size = 0;  // 0: empty (words are not)
    uint8_t count = 0;
    char word[kMaxWord];
    TokenId ids[kMaxIds];
  };
  std::vector<Slot> slots_;
};

}  // namespace kinglet
