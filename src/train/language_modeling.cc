#include "train/language_modeling.h"

#include "formats/json.h"
#include "host/error.h"

namespace kinglet::train {
namespace {

bool at_end_of_epoch(DataOrder& order, const DataCursor& cursor) {
  return cursor.next >= order.epoch_size(cursor.epoch);
}

/// The batches of a step; the cursor moves behind them.
std::vector<std::vector<Window>> next_step(DataOrder& order, DataCursor& cursor, const StepShape& shape) {
  std::vector<std::vector<Window>> batches;
  do batches.push_back(order.next(cursor, shape.batch));
  while (static_cast<int64_t>(batches.size()) < shape.batches && !at_end_of_epoch(order, cursor));
  return batches;
}

}  // namespace

Passes passes_of(Graph& graph) {
  return {.backward = [&graph](const Batch& batch, double weight) { return graph.backward(batch, weight); },
          .evaluate = [&graph](const Batch& batch) { return graph.evaluate(batch); }};
}

int64_t steps_of_epoch(DataOrder& order, uint64_t epoch, const StepShape& shape) {
  int64_t steps = 0;
  for (DataCursor cursor{.epoch = epoch}; steps == 0 || !at_end_of_epoch(order, cursor); ++steps)
    (void)next_step(order, cursor, shape);
  return steps;
}

/// This process's part of a batch: every size-th sequence.
std::vector<Window> LanguageModeling::mine(std::vector<Window> windows) const {
  if (exchange_ == nullptr) return windows;
  const auto rank = static_cast<size_t>(exchange_->collective().rank()),
             size = static_cast<size_t>(exchange_->collective().size());
  std::vector<Window> out;
  for (size_t i = rank; i < windows.size(); i += size) out.push_back(windows[i]);
  return out;
}

Result<StepLoss> LanguageModeling::accumulate() {
  std::vector<Batch> batches;
  StepLoss out;
  for (const auto& windows : next_step(order_, cursor_, shape_)) {
    const Batch whole = order_.training_batch(windows, cursor_.epoch);
    out.tokens += whole.size();
    out.targets += unmasked(whole);
    batches.push_back(exchange_ == nullptr ? whole : order_.training_batch(mine(windows), cursor_.epoch));
  }
  if (out.targets == 0)
    return Status(Code::corrupt, "none of the step's tokens counts for the loss; look at the data's labels");
  double sum = 0;
  for (const Batch& batch : batches) {
    if (exchange_ != nullptr && &batch == &batches.back()) exchange_->begin_last_batch();
    if (batch.size() == 0) continue;
    KL_ASSIGN(const Loss loss, passes_.backward(batch, 1.0 / static_cast<double>(out.targets)));
    sum += loss.sum;
  }
  if (exchange_ != nullptr) {
    KL_TRY(exchange_->finish());
    KL_TRY(exchange_->collective().sum({&sum, 1}));
  }
  out.loss = sum / static_cast<double>(out.targets);
  return out;
}

Result<std::optional<double>> LanguageModeling::evaluate() {
  if (!held_out_) return std::optional<double>();
  double total[2] = {};  // the loss and the targets
  for (DataCursor cursor; !at_end_of_epoch(*held_out_, cursor);) {
    const Batch batch = held_out_->batch(mine(held_out_->next(cursor, shape_.batch)));
    if (batch.size() == 0) continue;
    KL_ASSIGN(const Loss loss, passes_.evaluate(batch));
    total[0] += loss.sum;
    total[1] += static_cast<double>(loss.count);
  }
  if (exchange_ != nullptr) KL_TRY(exchange_->collective().sum(total));
  if (total[1] == 0) return Status(Code::corrupt, "none of the held-out tokens counts for the loss");
  return std::optional<double>(total[0] / total[1]);
}

Json LanguageModeling::cursor() const { return to_json(cursor_); }

Status LanguageModeling::restore(const Json& cursor) {
  KL_ASSIGN(cursor_, order_.cursor_from(cursor));
  return ok_status();
}

}  // namespace kinglet::train
