#include "train/data_order.h"

#include <algorithm>

#include "convert/random_blocks.h"
#include "formats/json.h"
#include "host/error.h"
#include "train/dropout.h"

namespace kinglet::train {
namespace {

/// One generator for each seed and epoch.
convert::Random generator(uint64_t seed, uint64_t epoch) {
  convert::Random of_seed(seed);
  return convert::Random(of_seed.next() ^ (epoch * 0x9E3779B97F4A7C15u));
}

/// A number below `limit` (> 0).
uint64_t below(convert::Random& random, uint64_t limit) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(random.next()) * limit) >> 64);
}

}  // namespace

DataOrder::DataOrder(const Dataset& data, OrderOptions options) : data_(&data), options_(options) {}

/// Windows overlap in no token, and each predicts the token after its last. The first is `phase` tokens long (0: as long
/// as the others), so that texts are cut at other places in other epochs.
void DataOrder::add_windows(uint32_t sample, uint64_t phase) {
  const uint64_t rows = data_->ids(sample).size() - 1;  // the last token is only predicted
  const auto window = static_cast<uint64_t>(options_.window);
  if (window == 0 || rows <= window || !data_->kind(sample).text) {
    windows_.push_back({sample, 0, static_cast<uint32_t>(rows)});
    return;
  }
  for (uint64_t begin = 0; begin < rows;) {
    const uint64_t length = std::min(begin == 0 && phase > 0 ? phase : window, rows - begin);
    windows_.push_back({sample, begin, static_cast<uint32_t>(length)});
    begin += length;
  }
}

void DataOrder::enter(uint64_t epoch) {
  if (entered_ && epoch_ == epoch) return;
  entered_ = true;
  epoch_ = epoch;
  windows_.clear();
  convert::Random random = generator(options_.seed, epoch);
  const bool shift = options_.shuffle && epoch > 0 && options_.window > 0;
  for (size_t i = 0; i < data_->size(); ++i)
    add_windows(static_cast<uint32_t>(i), shift ? below(random, static_cast<uint64_t>(options_.window)) : 0);
  if (!options_.shuffle) return;
  const size_t group = options_.group, count = windows_.size() / group;
  for (size_t i = count; i > 1; --i) {  // Fisher and Yates
    const size_t j = below(random, i);
    if (j == i - 1) continue;
    std::swap_ranges(windows_.begin() + static_cast<ptrdiff_t>((i - 1) * group),
                     windows_.begin() + static_cast<ptrdiff_t>(i * group),
                     windows_.begin() + static_cast<ptrdiff_t>(j * group));
  }
}

size_t DataOrder::epoch_size(uint64_t epoch) {
  enter(epoch);
  return windows_.size() / options_.group;
}

int64_t DataOrder::epoch_tokens(uint64_t epoch) {
  enter(epoch);
  int64_t tokens = 0;
  for (const Window& w : windows_) tokens += w.length;
  return tokens;
}

std::vector<Window> DataOrder::next(DataCursor& cursor, const BatchBudget& budget) {
  enter(cursor.epoch);
  const size_t group = options_.group;
  if (cursor.next >= windows_.size() / group) {
    cursor = {cursor.epoch + 1, 0};
    enter(cursor.epoch);
  }
  std::vector<Window> out;
  int64_t tokens = 0;
  for (int64_t groups = 0; cursor.next < windows_.size() / group; ++groups, ++cursor.next) {
    const auto begin = windows_.begin() + static_cast<ptrdiff_t>(cursor.next * group);
    int64_t more = 0;
    for (size_t i = 0; i < group; ++i) more += (begin + static_cast<ptrdiff_t>(i))->length;
    if (budget.sequences > 0 && groups == budget.sequences) break;
    if (budget.tokens > 0 && groups > 0 && tokens + more > budget.tokens) break;
    out.insert(out.end(), begin, begin + static_cast<ptrdiff_t>(group));
    tokens += more;
  }
  return out;
}

Batch DataOrder::batch(std::span<const Window> windows) const {
  Batch batch;
  for (const Window& w : windows) {
    const auto ids = data_->ids(w.sample).subspan(w.begin);
    const auto labels = data_->labels(w.sample).subspan(w.begin);
    append_sequence(batch, ids.first(w.length), labels.first(size_t{w.length} + 1));
  }
  return batch;
}

Batch DataOrder::training_batch(std::span<const Window> windows, uint64_t epoch) const {
  Batch out = batch(windows);
  for (const Window& w : windows) out.noise.push_back(sequence_noise(options_.seed, epoch, w.sample, w.begin));
  return out;
}

Json to_json(const DataCursor& cursor) { return {{"epoch", cursor.epoch}, {"next", cursor.next}}; }

Result<DataCursor> DataOrder::cursor_from(const Json& json) {
  for (const char* key : {"epoch", "next"}) {
    if (!json.is_object() || !json.contains(key) || !json[key].is_number_unsigned())
      return Status(Code::corrupt, "no place in the data");
  }
  const DataCursor cursor{json["epoch"].get<uint64_t>(), json["next"].get<uint64_t>()};
  if (cursor.next > epoch_size(cursor.epoch)) {
    return error(Code::corrupt, "{} of {} pieces of data: they are others than before", cursor.next,
                 epoch_size(cursor.epoch));
  }
  return cursor;
}

}  // namespace kinglet::train
