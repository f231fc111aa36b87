// Token sequences in memory, and the pieces of them that steps take, in an order that a seed fixes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "formats/json_fwd.h"
#include "train/batch.h"

namespace kinglet::train {

/// Sequences one after another: 4 bytes a token, 8 where a label differs from its token anywhere.
class Corpus {
 public:
  /// Labels are aligned with ids (see Sample); none: every token is its own label.
  void add(std::span<const int32_t> ids, std::span<const int32_t> labels = {});

  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }
  int64_t sequences() const { return static_cast<int64_t>(starts_.size()) - 1; }
  int64_t longest() const;                                     ///< tokens of the longest sequence
  std::span<const int64_t> starts() const { return starts_; }  ///< (sequences + 1)

  /// Appends tokens [begin, end) of all to a batch; where a sequence ends inside, one of the batch does too. The last row predicts
  /// the token after it where that belongs to the same sequence.
  void append_to(Batch& batch, int64_t begin, int64_t end) const;

  /// Moves the tokens from `first` on into a corpus of their own. What follows a cut through a sequence begins a new one.
  Corpus split_off(int64_t first);

  /// An id outside a vocabulary of `vocabulary` tokens. Errors: out_of_range, with the sequence's number from 1.
  Status check_ids(int64_t vocabulary) const;

 private:
  std::vector<int32_t> ids_;
  std::vector<int32_t> labels_;
  bool own_labels_ = false;  ///< while every label is its token, labels_ stays empty
  std::vector<int64_t> starts_{0};
};

/// Tokens [begin, end) of a corpus: what packing takes as a whole.
struct Item {
  int64_t begin = 0, end = 0;
  int64_t length() const { return end - begin; }
};

enum class Cut : uint8_t {
  sequences,  ///< every sequence is an item
  windows,    ///< items of a fixed length go on across the ends of sequences, so that every step has as many tokens
};
enum class Shuffle : uint8_t { no, yes };

/// Deals the items of a corpus for as many epochs as are asked for. Shuffled windows begin at another place in each epoch.
class ItemOrder {
 public:
  /// `corpus` must outlive it and have a token. `window`: of Cut::windows, at least 1.
  ItemOrder(const Corpus& corpus, Cut cut, int64_t window, Shuffle shuffle, uint64_t seed);

  Item next();
  int64_t epoch() const { return epoch_; }
  int64_t items() const { return static_cast<int64_t>(items_.size()); }  ///< of this epoch

  /// Where it is: the order itself follows from the seed.
  Json cursor() const;
  /// Errors: corrupt.
  Status restore(const Json& cursor);

 private:
  void begin_epoch(int64_t epoch);

  const Corpus* corpus_;
  Cut cut_;
  int64_t window_;
  Shuffle shuffle_;
  uint64_t seed_;
  int64_t epoch_ = 0;
  size_t position_ = 0;  ///< of items_, the next
  std::vector<Item> items_;
};

/// Items of an epoch in their own order, those of `windows` from the first token on.
std::vector<Item> items_in_order(const Corpus& corpus, Cut cut, int64_t window, int64_t phase = 0);

}  // namespace kinglet::train
