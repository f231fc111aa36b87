// Keys and values of sequences that have ended, for those that begin alike.
//
// Sequences share pages, so what several of them have in common is there once. A layer with a sliding window lets go
// of pages behind it: such a sequence can be cut back a little only, and whoever evaluates tokens keeps copies (forks, which
// cost no more than the window's pages) at the places where others are going to branch off (engine/scheduler.cc).
#pragma once

#include <list>
#include <span>
#include <vector>

#include "engine/kv_cache.h"
#include "tokenizer/token.h"

namespace kinglet {

/// How much of a sequence's keys and values another one can use.
struct PrefixMatch {
  int64_t common = 0;  ///< tokens that both begin with
  int64_t usable = 0;  ///< those, or 0 where a window has let go of what they need
};
/// `held`: the tokens whose keys and values `kv` holds.
PrefixMatch match_prefix(const KvSequence& kv, std::span<const TokenId> held, std::span<const TokenId> wanted);
/// The first `length` positions of `kv`, which must be usable. Errors: those of KvSequence::truncate.
Result<KvSequence> fork_prefix(const KvSequence& kv, int64_t length);

/// What keys and values depend on beside the tokens.
struct KvKind {
  bool long_rope = false;
  int32_t adapter = kNone;  ///< BatchPart::adapter
  bool operator==(const KvKind&) const = default;
};

class PrefixCache {
 public:
  /// Entries give way, the longest unused first, where all the pool's pages in use take more than `most_bytes`.
  PrefixCache(KvPool& pool, uint64_t most_bytes);

  /// Keeps `kv` and the tokens it holds. Entries that it makes superfluous go, and it goes where one makes it so.
  void insert(std::span<const TokenId> tokens, KvSequence kv, KvKind kind);

  struct Found {
    const KvSequence* kv = nullptr;  ///< until the next insert() or evict()
    PrefixMatch match;               ///< usable: the most of any entry; common: likewise, though it be of another one
  };
  /// The entry that serves `wanted` best, if any, which counts as used now.
  Found find(std::span<const TokenId> wanted, KvKind kind);

  /// Lets go of the entry that was unused for longest; false where there is none.
  bool evict();
  size_t size() const { return entries_.size(); }
  uint64_t evictions() const { return evictions_; }

 private:
  struct Entry {
    std::vector<TokenId> tokens;
    KvSequence kv;
    KvKind kind;
  };
  bool covers(const Entry& entry, std::span<const TokenId> tokens, KvKind kind) const;

  KvPool* pool_;
  uint64_t most_bytes_;
  bool windows_;              ///< some layer has one
  std::list<Entry> entries_;  ///< the last used one first
  uint64_t evictions_ = 0;
};

}  // namespace kinglet
