// Training sequences and the ragged batch that one pass of the model takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kinglet::train {

inline constexpr int32_t kIgnore = -100;  ///< a label without a loss, as transformers writes it

/// One training sequence: labels are aligned with ids (a label is the token at its own place, or kIgnore) and as many.
/// They are shifted when a batch is made.
struct Sample {
  std::vector<int32_t> ids, labels;
};

/// One ragged batch: the T tokens of B sequences in a row. There is no padding, and attention never crosses a border.
struct Batch {
  std::vector<int32_t> tokens;     ///< (T)
  std::vector<int32_t> positions;  ///< (T), from 0 in each sequence
  std::vector<int32_t> starts{0};  ///< (B + 1): sequence b is [starts[b], starts[b + 1])
  std::vector<int32_t> targets;    ///< (T): the token that this row predicts, kIgnore where it counts for no loss
  std::vector<uint64_t> noise{};   ///< (B) what each sequence's dropout is drawn from; empty: nothing is left out

  int64_t size() const { return static_cast<int64_t>(tokens.size()); }           ///< T
  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }  ///< B
};

/// Appends one sequence: row t is ids[t] and predicts labels[t + 1]. The last row predicts labels[T] where there is one
/// label more than there are ids (a window of a longer text), else nothing. An empty sequence adds nothing.
void append_sequence(Batch& batch, std::span<const int32_t> ids, std::span<const int32_t> labels);

Batch make_batch(std::span<const Sample> samples);

/// Rows that count for the loss.
int64_t unmasked(const Batch& batch);

}  // namespace kinglet::train
