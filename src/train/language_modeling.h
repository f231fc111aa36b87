// Next-token prediction: the mean negative log likelihood of the tokens that count, over all of a step.
#pragma once

#include <functional>
#include <vector>

#include "train/corpus.h"
#include "train/objective.h"

namespace kinglet::train {

/// Of one batch: the sum of the negative log likelihoods of its targets, in nats, and how many there were.
struct LossSum {
  double sum = 0;
  int64_t count = 0;
};

/// The model, as far as this objective needs it.
struct Passes {
  /// Adds `weight` times the gradient of the batch's sum to the gradients.
  std::function<Result<LossSum>(const Batch& batch, double weight)> backward;
  std::function<Result<LossSum>(const Batch& batch)> forward;
};

/// How a step's items become batches. A step is the mean over all of its targets, however it is cut.
struct StepShape {
  int64_t items = 1;                 ///< of a step
  int64_t batch_items = 1;           ///< of a batch, at most
  int64_t batch_tokens = INT64_MAX;  ///< of a batch, at most (one item may be longer)
};

class LanguageModeling final : public Objective {
 public:
  /// `training` and `held_out` (empty: none) must outlive it; held-out items are cut as the training ones and taken in order.
  LanguageModeling(Passes passes, const Corpus& training, ItemOrder order, StepShape shape, const Corpus& held_out,
                   std::vector<Item> held_out_items)
      : passes_(std::move(passes)),
        training_(training),
        order_(std::move(order)),
        shape_(shape),
        held_out_(held_out),
        held_out_items_(std::move(held_out_items)) {}

  Result<StepLoss> accumulate() override;
  Result<std::optional<double>> evaluate() override;
  Json cursor() const override;
  Status restore(const Json& cursor) override;

 private:
  std::vector<Batch> batches_of(const Corpus& corpus, std::span<const Item> items) const;

  Passes passes_;
  const Corpus& training_;
  ItemOrder order_;
  StepShape shape_;
  const Corpus& held_out_;
  std::vector<Item> held_out_items_;
};

}  // namespace kinglet::train
