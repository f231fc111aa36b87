#include "engine/kv_cache.h"

#include <algorithm>

#include <cstring>

#include "host/error.h"

namespace kinglet {
namespace {

constexpr uint64_t kSlabBytes = uint64_t{8} << 20;

int64_t pages_for(int64_t positions) { return ceil_div<int64_t>(positions, kPageTokens); }

uint32_t& owners(std::byte* page, size_t header) { return *reinterpret_cast<uint32_t*>(page - header); }

}  // namespace

KvPool::KvPool(KvShape shape, std::vector<int32_t> windows, Ledger& ledger)
    : shape_(shape), windows_(std::move(windows)), ledger_(&ledger) {}

size_t KvPool::page_stride() const { return kHeader + round_up<size_t>(shape_.page_bytes(), 64); }
size_t KvPool::slab_pages() const { return std::max<size_t>(1, kSlabBytes / page_stride()); }

uint64_t KvPool::bytes_for(int64_t context, int64_t batch) const {
  const int64_t all = pages_for(context);
  int64_t pages = 0;
  for (const int64_t window : windows_) {
    // A batch sees itself and window - 1 positions before it; at worst such a stretch begins at the last position of a page.
    const int64_t stretch = window - 1 + KvSequence::kTakeBack + std::min(batch, context);
    pages += window > 0 ? std::min(all, pages_for(stretch - 1) + 1) : all;
  }
  return ceil_div<uint64_t>(static_cast<uint64_t>(pages), slab_pages()) * slab_pages() * page_stride();
}

Result<std::byte*> KvPool::take() {
  if (free_.empty()) {
    const size_t stride = page_stride(), count = slab_pages();
    KL_ASSIGN(Block slab, Block::allocate(count * stride, MemoryUse::key_values, *ledger_));
    for (size_t i = count; i-- > 0;) free_.push_back(slab.data() + i * stride + kHeader);
    slabs_.push_back(std::move(slab));
  }
  std::byte* page = free_.back();
  free_.pop_back();
  owners(page, kHeader) = 1;
  ++in_use_;
  return page;
}

void KvPool::share(std::byte* page) { ++owners(page, kHeader); }
bool KvPool::shared(std::byte* page) const { return owners(page, kHeader) > 1; }
void KvPool::give_back(std::byte* page) {
  if (--owners(page, kHeader) > 0) return;
  free_.push_back(page);
  --in_use_;
}
uint64_t KvPool::bytes() const {
  uint64_t sum = 0;
  for (const Block& slab : slabs_) sum += slab.size();
  return sum;
}

KvSequence::KvSequence(KvPool& pool) : pool_(&pool), tables_(pool.windows().size()) { refresh(); }
KvSequence::KvSequence(KvSequence&& other) noexcept
    : pool_(other.pool_),
      length_(std::exchange(other.length_, 0)),
      tables_(std::move(other.tables_)),
      layer_tables_(std::move(other.layer_tables_)) {
  other.tables_.clear();
}
KvSequence& KvSequence::operator=(KvSequence&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(length_, other.length_);
  std::swap(tables_, other.tables_);
  std::swap(layer_tables_, other.layer_tables_);
  return *this;
}
KvSequence::~KvSequence() { clear(); }

void KvSequence::refresh() {
  layer_tables_.clear();
  for (const auto& table : tables_) layer_tables_.push_back(table.data());
}

void KvSequence::clear() {
  for (auto& table : tables_) {
    for (std::byte* page : table)
      if (page != nullptr) pool_->give_back(page);
    table.clear();
  }
  length_ = 0;
  refresh();
}

Status KvSequence::prepare(int64_t tokens) {
  const int64_t want = pages_for(length_ + tokens);
  for (auto& table : tables_) {
    // The page that the next position falls into may be shared with a fork.
    const int64_t partial = length_ / kPageTokens;
    if (length_ % kPageTokens != 0 && pool_->shared(table[static_cast<size_t>(partial)])) {
      KL_ASSIGN(std::byte * copy, pool_->take());
      std::byte*& page = table[static_cast<size_t>(partial)];
      std::memcpy(copy, page, pool_->shape().page_bytes());
      pool_->give_back(page);
      page = copy;
    }
    while (static_cast<int64_t>(table.size()) < want) {
      KL_ASSIGN(std::byte * page, pool_->take());
      table.push_back(page);
    }
  }
  refresh();
  return ok_status();
}

void KvSequence::commit(int64_t tokens) {
  length_ += tokens;
  for (size_t layer = 0; layer < tables_.size(); ++layer) {
    const int64_t window = pool_->windows()[layer];
    if (window == 0) continue;
    // The next query, at position length_, attends to positions above length_ - window; and some tokens may be taken back.
    const int64_t first_kept = std::max<int64_t>(0, length_ - kTakeBack - window + 1) / kPageTokens;
    for (int64_t i = first_kept; i-- > 0;) {
      std::byte*& page = tables_[layer][static_cast<size_t>(i)];
      if (page == nullptr) break;  // everything before it is freed already
      pool_->give_back(page);
      page = nullptr;
    }
  }
}

bool KvSequence::can_truncate(int64_t length) const {
  if (length < 0 || length > length_) return false;
  for (size_t layer = 0; layer < tables_.size(); ++layer) {
    const int64_t window = pool_->windows()[layer];
    if (window == 0) continue;
    const int64_t first = std::max<int64_t>(0, length - window + 1) / kPageTokens;
    if (first < static_cast<int64_t>(tables_[layer].size()) && tables_[layer][static_cast<size_t>(first)] == nullptr)
      return false;
  }
  return true;
}

Status KvSequence::truncate(int64_t length) {
  if (!can_truncate(length))
    return error(Code::unsupported, "cannot go back from {} to {} positions: a sliding window has let them go", length_,
                 length);
  for (auto& table : tables_) {
    while (static_cast<int64_t>(table.size()) > pages_for(length)) {
      if (table.back() != nullptr) pool_->give_back(table.back());
      table.pop_back();
    }
  }
  length_ = length;
  refresh();
  return ok_status();
}

Result<KvSequence> KvSequence::fork() const {
  KvSequence out(*pool_);
  out.tables_ = tables_;
  for (auto& table : out.tables_)
    for (std::byte* page : table)
      if (page != nullptr) pool_->share(page);
  out.length_ = length_;
  out.refresh();
  return out;
}

std::vector<std::byte> KvSequence::save(int64_t length) const {
  const size_t page_bytes = pool_->shape().page_bytes();
  const int64_t kept = std::min(length, length_);
  std::vector<std::byte> out(sizeof(int64_t));
  std::memcpy(out.data(), &kept, sizeof(int64_t));
  for (const auto& table : tables_)
    for (std::byte* page : std::span(table).first(static_cast<size_t>(pages_for(kept)))) {
      out.push_back(std::byte{static_cast<unsigned char>(page != nullptr)});
      if (page != nullptr) out.insert(out.end(), page, page + page_bytes);
    }
  return out;
}

Status KvSequence::restore(std::span<const std::byte> bytes) {
  const Status bad = error(Code::corrupt, "the saved keys and values are damaged or belong to another model");
  clear();
  int64_t length = 0;
  if (bytes.size() < sizeof(length)) return bad;
  std::memcpy(&length, bytes.data(), sizeof(length));
  bytes = bytes.subspan(sizeof(length));
  const size_t page_bytes = pool_->shape().page_bytes();
  if (length < 0 || length > (int64_t{1} << 32) ||
      static_cast<uint64_t>(pages_for(length)) * tables_.size() > bytes.size())
    return bad;
  for (size_t layer = 0; layer < tables_.size(); ++layer) {
    const int64_t window = pool_->windows()[layer];
    const int64_t first_needed = window == 0 ? 0 : std::max<int64_t>(0, length - window + 1) / kPageTokens;
    for (int64_t i = 0; i < pages_for(length); ++i) {
      const bool present = !bytes.empty() && bytes[0] == std::byte{1};
      if (bytes.empty() || (present ? bytes.size() - 1 < page_bytes : i >= first_needed)) return clear(), bad;
      bytes = bytes.subspan(1);
      std::byte* page = nullptr;
      if (present) {
        auto taken = pool_->take();
        if (!taken.ok()) return clear(), taken.status();
        page = *taken;
        std::memcpy(page, bytes.data(), page_bytes);
        bytes = bytes.subspan(page_bytes);
      }
      tables_[layer].push_back(page);
    }
  }
  length_ = length;
  refresh();
  if (!bytes.empty()) return clear(), bad;
  return ok_status();
}

}  // namespace kinglet
