// Training on answers that are compared: the objective of `kinglet align`.
#pragma once

#include <optional>
#include <vector>

#include "train/data_order.h"
#include "train/graph.h"
#include "train/language_modeling.h"
#include "train/objective.h"
#include "train/preference_loss.h"
#include "train/reference_cache.h"

namespace kinglet::train {

/// How the policy does on data: the mean loss, and how often the wanted answer has the greater reward (KTO: a wanted one
/// a positive, an unwanted one a negative reward).
struct PreferenceScore {
  double loss = 0;
  double accuracy = 0;
  double margin = 0;  ///< mean
  int64_t comparisons = 0;
};

/// The log probability of each sample's answer. Errors: those of Graph::sequence_log_probs.
Result<std::vector<double>> answer_log_probs(Graph& graph, const Dataset& data, const BatchBudget& budget);

/// Preferences of one data set and what the reference model says to them.
class PreferenceData {
 public:
  /// `data` must outlive it; loaded for DataGoal::preferences, of KTO for DataGoal::labelled. `reference` is asked once for
  /// the log probabilities of each set of answers, where the method needs them. Errors: its own.
  static Result<PreferenceData> create(const Dataset& data, const PreferenceOptions& options,
                                       const AnswerScorer& reference);

  const Dataset& data() const { return *data_; }
  AnswerScore score(uint32_t sample, double policy) const;
  /// KTO: sample i's prompt with another one's answer, for the estimate of the divergence.
  const Dataset& mismatched() const { return mismatched_; }
  double mismatched_reference(uint32_t sample) const { return mismatched_reference_[sample]; }

 private:
  explicit PreferenceData(const Dataset& data) : data_(&data) {}
  const Dataset* data_;
  std::vector<double> reference_;
  std::vector<int64_t> tokens_;
  Dataset mismatched_;
  std::vector<double> mismatched_reference_;
};

class PreferenceTraining final : public Objective {
 public:
  /// All must outlive it. `held_out` may be null.
  PreferenceTraining(Graph& graph, const PreferenceData& training, const PreferenceData* held_out, DataOrder order,
                     StepShape shape, const PreferenceOptions& options)
      : graph_(graph),
        training_(training),
        held_out_(held_out),
        order_(std::move(order)),
        shape_(shape),
        options_(options) {}

  Result<StepLoss> accumulate() override;
  Result<std::optional<double>> evaluate() override;
  Json cursor() const override;
  Status restore(const Json& cursor) override;

  /// The policy as it is now on any data. Errors: those of the graph.
  Result<PreferenceScore> score(const PreferenceData& on);

 private:
  Result<double> divergence(const PreferenceData& on, std::span<const Window> windows);
  double losses(const PreferenceData& on, std::span<const Window> windows, std::span<const double> log_probs,
                double divergence, double weight, std::span<double> slopes, PreferenceScore* score) const;
  size_t group() const { return options_.method == PreferenceMethod::kto ? 1 : 2; }

  Graph& graph_;
  const PreferenceData& training_;
  const PreferenceData* held_out_;
  DataOrder order_;
  StepShape shape_;
  PreferenceOptions options_;
  DataCursor cursor_;
};

}  // namespace kinglet::train
