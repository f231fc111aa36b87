#include "train/corpus.h"

#include <algorithm>

#include "convert/random_blocks.h"
#include "formats/json.h"
#include "host/error.h"

namespace kinglet::train {
namespace {

/// A number below `count` from 64 random bits.
uint64_t below(convert::Random& random, uint64_t count) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(random.next()) * count) >> 64);
}

}  // namespace

void Corpus::add(std::span<const int32_t> ids, std::span<const int32_t> labels) {
  if (ids.empty()) return;
  if (!own_labels_ && !labels.empty() && !std::equal(ids.begin(), ids.end(), labels.begin(), labels.end())) {
    own_labels_ = true;
    labels_ = ids_;
  }
  if (own_labels_) {
    const auto& own = labels.empty() ? ids : labels;
    labels_.insert(labels_.end(), own.begin(), own.end());
  }
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  starts_.push_back(tokens());
}

int64_t Corpus::longest() const {
  int64_t most = 0;
  for (size_t i = 1; i < starts_.size(); ++i) most = std::max(most, starts_[i] - starts_[i - 1]);
  return most;
}

void Corpus::append_to(Batch& batch, int64_t begin, int64_t end) const {
  const std::span<const int32_t> ids = ids_, labels = own_labels_ ? labels_ : ids_;
  auto next = std::upper_bound(starts_.begin(), starts_.end(), begin);
  while (begin < end) {
    const int64_t stop = *next++, last = std::min(stop, end);
    const auto at = static_cast<size_t>(begin), count = static_cast<size_t>(last - begin);
    append_sequence(batch, ids.subspan(at, count), labels.subspan(at, count + (last < stop ? 1 : 0)));
    begin = last;
  }
}

Corpus Corpus::split_off(int64_t first) {
  Corpus rest;
  const auto at = static_cast<size_t>(first);
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), first);
  for (auto stop = next; stop != starts_.end(); ++stop) rest.starts_.push_back(*stop - first);
  rest.ids_.assign(ids_.begin() + first, ids_.end());
  ids_.resize(at);
  rest.own_labels_ = own_labels_;
  if (own_labels_) {
    rest.labels_.assign(labels_.begin() + first, labels_.end());
    labels_.resize(at);
  }
  starts_.erase(next, starts_.end());
  if (starts_.back() < first) starts_.push_back(first);
  return rest;
}

Status Corpus::check_ids(int64_t vocabulary) const {
  const auto bad = [&](int32_t id, bool label) { return id >= vocabulary || (id < 0 && !(label && id == kIgnore)); };
  for (size_t i = 0; i < ids_.size(); ++i) {
    const bool label = !bad(ids_[i], false);
    if (label && (!own_labels_ || !bad(labels_[i], true))) continue;
    const auto sequence = std::upper_bound(starts_.begin(), starts_.end(), static_cast<int64_t>(i)) - starts_.begin();
    return error(Code::out_of_range, "sequence {} has the {} {}; the vocabulary has {} tokens", sequence,
                 label ? "label" : "token", label ? labels_[i] : ids_[i], vocabulary);
  }
  return ok_status();
}

std::vector<Item> items_in_order(const Corpus& corpus, Cut cut, int64_t window, int64_t phase) {
  std::vector<Item> items;
  if (cut == Cut::sequences) {
    for (int64_t i = 0; i < corpus.sequences(); ++i)
      items.push_back({corpus.starts()[static_cast<size_t>(i)], corpus.starts()[static_cast<size_t>(i) + 1]});
    return items;
  }
  for (int64_t begin = 0, end = phase > 0 ? phase : window; begin < corpus.tokens(); begin = end, end += window)
    items.push_back({begin, std::min(end, corpus.tokens())});
  return items;
}

ItemOrder::ItemOrder(const Corpus& corpus, Cut cut, int64_t window, Shuffle shuffle, uint64_t seed)
    : corpus_(&corpus), cut_(cut), window_(window), shuffle_(shuffle), seed_(seed) {
  begin_epoch(0);
}

void ItemOrder::begin_epoch(int64_t epoch) {
  epoch_ = epoch;
  position_ = 0;
  convert::Random random(seed_ + 0x9e3779b97f4a7c15ull * static_cast<uint64_t>(epoch));
  const bool shuffled = shuffle_ == Shuffle::yes;
  const auto phase =
      static_cast<int64_t>(shuffled ? below(random, static_cast<uint64_t>(window_ > 0 ? window_ : 1)) : 0);
  items_ = items_in_order(*corpus_, cut_, window_, phase);
  if (!shuffled) return;
  for (size_t left = items_.size(); left > 1; --left) std::swap(items_[left - 1], items_[below(random, left)]);
}

Item ItemOrder::next() {
  if (position_ == items_.size()) begin_epoch(epoch_ + 1);
  return items_[position_++];
}

Json ItemOrder::cursor() const { return {{"epoch", epoch_}, {"item", position_}}; }

Status ItemOrder::restore(const Json& cursor) {
  const auto number = [&cursor](const char* key) {
    const auto it = cursor.find(key);
    return it != cursor.end() && it->is_number_integer() ? it->get<int64_t>() : int64_t{-1};
  };
  const int64_t epoch = number("epoch"), item = number("item");
  if (epoch < 0 || item < 0) return Status(Code::corrupt, "no place in the data");
  begin_epoch(epoch);
  if (item > items()) return error(Code::corrupt, "item {} of {}: the data are others than before", item, items());
  position_ = static_cast<size_t>(item);
  return ok_status();
}

}  // namespace kinglet::train
