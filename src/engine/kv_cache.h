// Keys and values in pages behind block tables. A page holds kPageTokens positions of one layer; sequences share pages that
// they have in common, and a sliding-window layer gives back the pages that its window has left.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "arch/builder.h"
#include "exec/forward.h"
#include "host/memory.h"

namespace kinglet {

/// Pages of one model, taken from the system in slabs and reused.
class KvPool {
 public:
  /// `windows`: for each kv layer its window, 0 for none.
  KvPool(KvShape shape, std::vector<int32_t> windows, Ledger& ledger);

  Result<std::byte*> take();           ///< a page with one owner. Errors: resource_exhausted
  void share(std::byte* page);         ///< one owner more
  void give_back(std::byte* page);     ///< one owner less; free for reuse at none
  bool shared(std::byte* page) const;  ///< more than one owner

  const KvShape& shape() const { return shape_; }
  std::span<const int32_t> windows() const { return windows_; }
  uint64_t pages_in_use() const { return in_use_; }
  uint64_t bytes() const;  ///< of all slabs
  /// Bytes of the slabs that one sequence takes at most while it grows to `context` positions by `batch` at a time.
  uint64_t bytes_for(int64_t context, int64_t batch) const;

 private:
  // A page's owner count lies beside it in the slab, in a header of 64 bytes.
  static constexpr size_t kHeader = 64;
  size_t page_stride() const;
  size_t slab_pages() const;
  KvShape shape_;
  std::vector<int32_t> windows_;
  Ledger* ledger_;
  std::vector<Block> slabs_;
  std::vector<std::byte*> free_;
  uint64_t in_use_ = 0;
};

/// The stored keys and values of one sequence: append, roll back, fork, save.
class KvSequence {
 public:
  explicit KvSequence(KvPool& pool);
  KvSequence(KvSequence&&) noexcept;
  KvSequence& operator=(KvSequence&&) noexcept;
  ~KvSequence();

  int64_t length() const { return length_; }
  /// Makes room for `tokens` more positions: takes pages, and copies a shared one that is written to next.
  Status prepare(int64_t tokens);
  /// `tokens` positions were written; frees what windows have left behind.
  void commit(int64_t tokens);
  /// Back to `length` positions. Errors: unsupported where a window has given those pages back, which is never so for kTakeBack positions.
  Status truncate(int64_t length);
  static constexpr int64_t kTakeBack = 16;  ///< so that guesses of tokens can be taken back
  Result<KvSequence> fork() const;
  void clear();

  /// For BatchSequence: [kv layer] -> block table.
  std::byte* const* const* pages() const { return layer_tables_.data(); }

  /// Whether position `p` of every layer can still be attended to by a query at `length`.
  bool can_truncate(int64_t length) const;

  /// The first `length` positions' pages, layer by layer, as bytes for a file, and back into an empty sequence.
  std::vector<std::byte> save(int64_t length) const;
  Status restore(std::span<const std::byte> bytes);

 private:
  void refresh();
  KvPool* pool_;
  int64_t length_ = 0;
  std::vector<std::vector<std::byte*>> tables_;  ///< [kv layer][page], null where freed
  std::vector<std::byte* const*> layer_tables_;
};

}  // namespace kinglet
