// Next-token prediction: the mean negative log likelihood of the tokens that count, over all of a step.
#pragma once

#include <functional>
#include <vector>

#include "train/data_order.h"
#include "train/gradient_exchange.h"
#include "train/graph.h"
#include "train/objective.h"

namespace kinglet::train {

/// The model, as far as this objective needs it; passes_of() gives a graph's.
struct Passes {
  std::function<Result<Loss>(const Batch& batch, double weight)> backward;  ///< as Graph::backward
  std::function<Result<Loss>(const Batch& batch)> evaluate;                 ///< as Graph::evaluate
};
Passes passes_of(Graph& graph);

/// A step is so many batches, fewer where an epoch ends. It is the mean over all their targets together, so that it does not matter
/// how its sequences are spread over batches.
struct StepShape {
  BatchBudget batch;
  int64_t batches = 1;
};

/// Steps in one epoch.
int64_t steps_of_epoch(DataOrder& order, uint64_t epoch, const StepShape& shape);

class LanguageModeling final : public Objective {
 public:
  LanguageModeling(Passes passes, DataOrder order, StepShape shape)
      : passes_(std::move(passes)), order_(std::move(order)), shape_(shape) {}
  /// From now on a share of each batch's sequences is this process's; the gradients' sums and the losses are those of all. The
  /// graph tells `exchange` of its gradients. It must outlive this.
  void share(GradientExchange& exchange) { exchange_ = &exchange; }
  /// One epoch of `order` is what evaluate() scores.
  void hold_out(DataOrder order) { held_out_.emplace(std::move(order)); }

  Result<StepLoss> accumulate() override;
  Result<std::optional<double>> evaluate() override;
  Json cursor() const override;
  Status restore(const Json& cursor) override;

 private:
  std::vector<Window> mine(std::vector<Window> windows) const;
  Passes passes_;
  DataOrder order_;
  StepShape shape_;
  DataCursor cursor_;
  std::optional<DataOrder> held_out_;
  GradientExchange* exchange_ = nullptr;
};

}  // namespace kinglet::train
