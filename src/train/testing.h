// The smallest model that learns: a table of logits for each pair of tokens, with its gradient by hand. For x_test.cc files only.
#pragma once

#include <cmath>
#include <vector>

#include "train/language_modeling.h"
#include "train/trained_tensor.h"

namespace kinglet::train {

class BigramModel {
 public:
  explicit BigramModel(int32_t vocabulary)
      : vocabulary_(vocabulary),
        table_(size()),
        gradient_(size()),
        bias_(static_cast<size_t>(vocabulary)),
        bias_gradient_(bias_.size()) {}
  BigramModel(const BigramModel&) = delete;
  BigramModel& operator=(const BigramModel&) = delete;

  std::vector<TrainedTensor> tensors() {
    return {
        {.name = "table", .shape = {vocabulary_, vocabulary_}, .values = table_, .gradient = gradient_, .hidden = true},
        {.name = "bias", .shape = {vocabulary_}, .values = bias_, .gradient = bias_gradient_}};
  }
  Passes passes() {
    return {.backward = [this](const Batch& batch, double weight) { return pass(batch, weight); },
            .evaluate = [this](const Batch& batch) { return pass(batch, 0); }};
  }
  std::vector<float>& table() { return table_; }
  const std::vector<float>& bias() const { return bias_; }
  const std::vector<float>& gradient() const { return gradient_; }

 private:
  size_t size() const { return static_cast<size_t>(vocabulary_) * static_cast<size_t>(vocabulary_); }

  Result<Loss> pass(const Batch& batch, double weight) {
    Loss loss;
    const auto V = static_cast<size_t>(vocabulary_);
    for (size_t t = 0; t < batch.tokens.size(); ++t) {
      if (batch.targets[t] == kIgnore) continue;
      const size_t row = static_cast<size_t>(batch.tokens[t]) * V, target = static_cast<size_t>(batch.targets[t]);
      double total = 0;
      for (size_t v = 0; v < V; ++v) total += std::exp(double{table_[row + v]} + double{bias_[v]});
      loss.sum += std::log(total) - table_[row + target] - bias_[target];
      ++loss.count;
      for (size_t v = 0; v < V; ++v) {
        const double p = std::exp(double{table_[row + v]} + double{bias_[v]}) / total;
        const auto d = static_cast<float>(weight * (p - (v == target ? 1 : 0)));
        gradient_[row + v] += d;
        bias_gradient_[v] += d;
      }
    }
    return loss;
  }

  int32_t vocabulary_;
  std::vector<float> table_, gradient_, bias_, bias_gradient_;
};

}  // namespace kinglet::train
