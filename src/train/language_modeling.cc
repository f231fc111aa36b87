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

Result<StepLoss> LanguageModeling::accumulate() {
  std::vector<Batch> batches;
  StepLoss out;
  for (const auto& windows : next_step(order_, cursor_, shape_)) {
    const Batch& batch = batches.emplace_back(order_.batch(windows));
    out.tokens += batch.size();
    out.targets += unmasked(batch);
  }
  if (out.targets == 0)
    return Status(Code::corrupt, "none of the step's tokens counts for the loss; look at the data's labels");
  double sum = 0;
  for (const Batch& batch : batches) {
    KL_ASSIGN(const Loss loss, passes_.backward(batch, 1.0 / static_cast<double>(out.targets)));
    sum += loss.sum;
  }
  out.loss = sum / static_cast<double>(out.targets);
  return out;
}

Result<std::optional<double>> LanguageModeling::evaluate() {
  if (!held_out_) return std::optional<double>();
  Loss total;
  for (DataCursor cursor; !at_end_of_epoch(*held_out_, cursor);) {
    KL_ASSIGN(const Loss loss, passes_.evaluate(held_out_->batch(held_out_->next(cursor, shape_.batch))));
    total.sum += loss.sum;
    total.count += loss.count;
  }
  if (total.count == 0) return Status(Code::corrupt, "none of the held-out tokens counts for the loss");
  return std::optional<double>(total.sum / static_cast<double>(total.count));
}

Json LanguageModeling::cursor() const { return to_json(cursor_); }

Status LanguageModeling::restore(const Json& cursor) {
  KL_ASSIGN(cursor_, order_.cursor_from(cursor));
  return ok_status();
}

}  // namespace kinglet::train
