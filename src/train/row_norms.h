// DoRA's magnitudes while they are trained: the weight in effect is m (W + s B A) / |W + s B A|, row by row, and the norms
// are taken as constants of the step.
// Source: Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation" (arXiv 2402.09353), section 4.3.
#pragma once

#include <vector>

#include "train/product.h"

namespace kinglet::train {

class RowNorms {
 public:
  RowNorms() = default;
  /// Finds the magnitudes of `program` (ParamInfo::norms) and sums the squares of their frozen weights, once.
  RowNorms(const ProgramStorage& program, const Parameters& parameters, const Products& products,
           const Parallel& parallel);

  /// The norms of the rows as the adapters are now.
  void update(const Parameters& parameters, const Products& products, const Parallel& parallel);

  /// Of a magnitude (N): m over the norms, and 1 over them. Null for every other parameter.
  const float* gains(ParamId id) const { return find(id, &Entry::gains); }
  const float* inverse(ParamId id) const { return find(id, &Entry::inverse); }

 private:
  struct Entry {
    ParamId magnitude;
    AdaptedRows rows;
    std::vector<double> squares;  ///< (N) of the rows of W
    std::vector<float> gains, inverse;
  };
  const float* find(ParamId id, std::vector<float> Entry::*which) const {
    if (id == kNone || of_param_.empty() || of_param_[static_cast<size_t>(id)] == kNone) return nullptr;
    return (entries_[static_cast<size_t>(of_param_[static_cast<size_t>(id)])].*which).data();
  }

  std::vector<Entry> entries_;
  std::vector<int32_t> of_param_;  ///< entry of each parameter; empty: there are none
  std::vector<float> products_;    ///< A W^T (R, N) of one entry
};

}  // namespace kinglet::train
