#include "engine/prefix_cache.h"

#include <algorithm>

namespace kinglet {
namespace {

constexpr size_t kMostEntries = 1024;  // each is looked at for each request

int64_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

}  // namespace

PrefixMatch match_prefix(const KvSequence& kv, std::span<const TokenId> held, std::span<const TokenId> wanted) {
  const int64_t common = common_prefix(held, wanted);
  return {common, kv.can_truncate(common) ? common : 0};
}

Result<KvSequence> fork_prefix(const KvSequence& kv, int64_t length) {
  KL_ASSIGN(KvSequence fork, kv.fork());
  KL_TRY(fork.truncate(length));
  return fork;
}

PrefixCache::PrefixCache(KvPool& pool, uint64_t most_bytes)
    : pool_(&pool),
      most_bytes_(most_bytes),
      windows_(std::ranges::any_of(pool.windows(), [](int32_t window) { return window > 0; })) {}

// Without windows a longer sequence can be cut back to each of its beginnings.
bool PrefixCache::covers(const Entry& entry, std::span<const TokenId> tokens, KvKind kind) const {
  const size_t size = entry.tokens.size();
  return entry.kind == kind && (windows_ ? size == tokens.size() : size >= tokens.size()) &&
         std::equal(tokens.begin(), tokens.end(), entry.tokens.begin());
}

void PrefixCache::insert(std::span<const TokenId> tokens, KvSequence kv, KvKind kind) {
  if (tokens.empty()) return;
  const auto covering = std::ranges::find_if(entries_, [&](const Entry& e) { return covers(e, tokens, kind); });
  if (covering != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, covering);
    return;
  }
  entries_.push_front({{tokens.begin(), tokens.end()}, std::move(kv), kind});
  const Entry& added = entries_.front();
  std::erase_if(entries_, [&](const Entry& e) { return &e != &added && covers(added, e.tokens, e.kind); });
  while (entries_.size() > kMostEntries || pool_->pages_in_use() * pool_->shape().page_bytes() > most_bytes_) {
    if (!evict()) break;
  }
}

PrefixCache::Found PrefixCache::find(std::span<const TokenId> wanted, KvKind kind) {
  Found found;
  auto best = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->kind != kind) continue;
    const PrefixMatch match = match_prefix(it->kv, it->tokens, wanted);
    found.match.common = std::max(found.match.common, match.common);
    if (match.usable <= found.match.usable) continue;
    found.match.usable = match.usable;
    best = it;
  }
  if (best != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, best);
    found.kv = &entries_.front().kv;
  }
  return found;
}

bool PrefixCache::evict() {
  if (entries_.empty()) return false;
  entries_.pop_back();
  ++evictions_;
  return true;
}

}  // namespace kinglet
