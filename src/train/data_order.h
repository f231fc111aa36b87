// The order in which training takes its data: computed from a seed and the number of the epoch, so that a cursor of two
// numbers is all that a checkpoint needs to go on with the very next sample.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/json_fwd.h"
#include "train/batch.h"
#include "train/dataset.h"

namespace kinglet::train {

/// A piece of one sample: all of it, or a window of a text. Its tokens are [begin, begin + length); each of them predicts
/// the next, so that the token behind them is in the sample too.
struct Window {
  uint32_t sample = 0;
  uint64_t begin = 0;
  uint32_t length = 0;  ///< tokens, > 0
};

struct OrderOptions {
  int64_t window = 0;  ///< tokens of a piece of a text; 0: texts are whole
  bool shuffle = true;
  uint64_t seed = 0;
  size_t group = 1;  ///< samples that stay together: 2 for preferences
};

/// Where training stands.
struct DataCursor {
  uint64_t epoch = 0;
  uint64_t next = 0;  ///< group of the epoch's order that comes next
  bool operator==(const DataCursor&) const = default;
};

Json to_json(const DataCursor& cursor);

/// How much goes into one batch.
struct BatchBudget {
  int64_t tokens = 0;     ///< groups are added as long as they fit, one at least; 0: no limit
  int64_t sequences = 0;  ///< groups; 0: no limit
};

class DataOrder {
 public:
  /// `data` must outlive it, and is not empty.
  DataOrder(const Dataset& data, OrderOptions options);

  /// The pieces from the cursor on that make the next batch, in order; the cursor moves behind them. A batch ends where
  /// its epoch ends, and the next one begins the next epoch.
  std::vector<Window> next(DataCursor& cursor, const BatchBudget& budget);
  Batch batch(std::span<const Window> windows) const;
  /// The same to learn from: with the noise that dropout draws from, of the seed, the pieces' epoch and the pieces.
  Batch training_batch(std::span<const Window> windows, uint64_t epoch) const;

  /// Groups in an epoch, and its tokens.
  size_t epoch_size(uint64_t epoch);
  int64_t epoch_tokens(uint64_t epoch);

  /// What to_json() wrote. Errors: corrupt, where it is no place in these data.
  Result<DataCursor> cursor_from(const Json& json);

 private:
  void enter(uint64_t epoch);
  void add_windows(uint32_t sample, uint64_t phase);

  const Dataset* data_;
  OrderOptions options_;
  uint64_t epoch_ = 0;
  bool entered_ = false;
  std::vector<Window> windows_;  ///< of the epoch; groups lie side by side
};

}  // namespace kinglet::train
