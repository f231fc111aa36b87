#include "train/language_modeling.h"

#include "formats/json.h"

namespace kinglet::train {

std::vector<Batch> LanguageModeling::batches_of(const Corpus& corpus, std::span<const Item> items) const {
  std::vector<int64_t> lengths;
  for (const Item& item : items) lengths.push_back(item.length());
  const std::vector<size_t> bounds = pack_bounds(lengths, shape_.batch_tokens, static_cast<size_t>(shape_.batch_items));
  std::vector<Batch> batches(bounds.size() - 1);
  for (size_t b = 0; b < batches.size(); ++b)
    for (size_t i = bounds[b]; i < bounds[b + 1]; ++i) corpus.append_to(batches[b], items[i].begin, items[i].end);
  return batches;
}

Result<StepLoss> LanguageModeling::accumulate() {
  std::vector<Item> items;
  for (int64_t i = 0; i < shape_.items; ++i) items.push_back(order_.next());
  const std::vector<Batch> batches = batches_of(training_, items);
  StepLoss out;
  for (const Batch& batch : batches) {
    out.tokens += batch.size();
    out.targets += unmasked(batch);
  }
  if (out.targets == 0)
    return Status(Code::corrupt, "none of the step's tokens counts for the loss; look at the labels");
  double sum = 0;
  for (const Batch& batch : batches) {
    KL_ASSIGN(const LossSum loss, passes_.backward(batch, 1.0 / static_cast<double>(out.targets)));
    sum += loss.sum;
  }
  out.loss = sum / static_cast<double>(out.targets);
  return out;
}

Result<std::optional<double>> LanguageModeling::evaluate() {
  LossSum total;
  for (const Batch& batch : batches_of(held_out_, held_out_items_)) {
    KL_ASSIGN(const LossSum loss, passes_.forward(batch));
    total.sum += loss.sum;
    total.count += loss.count;
  }
  if (total.count == 0) return std::optional<double>();
  return std::optional<double>(total.sum / static_cast<double>(total.count));
}

Json LanguageModeling::cursor() const { return order_.cursor(); }
Status LanguageModeling::restore(const Json& cursor) { return order_.restore(cursor); }

}  // namespace kinglet::train
