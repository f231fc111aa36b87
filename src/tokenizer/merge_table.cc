#include "tokenizer/merge_table.h"

#include <bit>

#include "host/error.h"

namespace kinglet {

void MergeTable::reserve(size_t count) {
  if (used_ != 0) return;
  const size_t capacity = std::bit_ceil(std::min(count, kMaxMerges) * 3 / 2 + 64);
  slots_.assign(capacity, Slot{});
  shift_ = 64 - std::countr_zero(capacity);
}

void MergeTable::grow() {
  std::vector<Slot> old(std::max<size_t>(64, slots_.size() * 2));
  old.swap(slots_);
  shift_ = 64 - std::countr_zero(slots_.size());
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.key == kEmpty) continue;
    size_t at = place(slot.key);
    while (slots_[at].key != kEmpty) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

int32_t MergeTable::find_extra(std::string_view text) const {
  const int32_t extra = extra_index_.find(extra_, text);
  return extra < 0 ? -1 : vocabulary_->size() + extra;
}

int32_t MergeTable::symbol(std::string_view text) {
  const TokenId id = vocabulary_->find(text);
  if (id >= 0 && vocabulary_->is_plain(id)) return id;
  if (const int32_t known = find_extra(text); known >= 0) return known;
  extra_.add(text);
  extra_index_.add(extra_, extra_.size() - 1);
  return vocabulary_->size() + static_cast<int32_t>(extra_.size() - 1);
}

Status MergeTable::add(std::string_view left, std::string_view right) {
  if (next_rank_ >= kMaxMerges) return error(Code::corrupt, "there are more than {} merges", kMaxMerges);
  if (left.empty() || right.empty()) return error(Code::corrupt, "merge {} has an empty side", next_rank_);
  if (left.size() + right.size() > Vocabulary::kMaxTokenBytes) {
    return error(Code::corrupt, "merge {} makes a token longer than {} bytes", next_rank_, Vocabulary::kMaxTokenBytes);
  }
  if (extra_.bytes() > Vocabulary::kMaxBytes)
    return Status(Code::corrupt, "the merges name too many texts that are no tokens");
  if ((used_ + 1) * 4 > slots_.size() * 3) grow();
  const int32_t l = symbol(left), r = symbol(right);
  joined_.assign(left).append(right);
  const int32_t id = symbol(joined_);
  const uint64_t key = pair_key(l, r);
  const size_t mask = slots_.size() - 1;
  size_t at = place(key);
  while (slots_[at].key != kEmpty && slots_[at].key != key) at = (at + 1) & mask;
  if (slots_[at].key == kEmpty) {  // of equal pairs the first counts
    slots_[at] = {key, next_rank_, id};
    ++used_;
  }
  ++next_rank_;
  return ok_status();
}

Status MergeTable::add(std::string_view spaced) {
  const size_t space = spaced.find(' ', 1);
  if (space == std::string_view::npos) return error(Code::corrupt, "merge {} has no space in it", next_rank_);
  return add(spaced.substr(0, space), spaced.substr(space + 1));
}

}  // namespace kinglet
