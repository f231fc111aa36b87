#include "train/ensemble.h"

#include <cmath>
#include <memory>

#include "host/error.h"
#include "train/kernels.h"
#include "train/reserve.h"
#include "train/tape.h"

namespace kinglet::train {
namespace {

class Ensemble {
 public:
  Ensemble(std::vector<TeacherLogits> teachers, const EnsembleOptions& options, EnsembleScratch& scratch)
      : teachers_(std::move(teachers)),
        options_(options),
        kernels_(*find_kernels("")),
        gradients_(gradient_kernels(kernels_)),
        scratch_(scratch) {}

  Status logits(int64_t first, int64_t rows, float* out) {
    KL_TRY(reserve(scratch_.block, static_cast<uint64_t>(rows * options_.V) * sizeof(float), scratch_.ledger));
    auto* one = reinterpret_cast<float*>(scratch_.block.data());
    for (size_t t = 0; t < teachers_.size(); ++t) {
      float* own = t == 0 ? out : one;
      KL_TRY(teachers_[t](first, rows, own));
      const bool last = t + 1 == teachers_.size();
      options_.parallel.for_each(rows, [&](int64_t i, int) {
        float* row = out + i * options_.V;
        share(own + i * options_.V);
        if (t > 0) gradients_.add_scaled(own + i * options_.V, 1.0f, options_.V, row);
        if (last) to_logits(row);
      });
    }
    return ok_status();
  }

 private:
  /// Logits become this teacher's share of the mean.
  void share(float* row) const {
    kernels_.scale(row, static_cast<float>(1 / options_.temperature), options_.V, row);
    float most = 0, sum = 0;
    gradients_.sum_exp(row, options_.V, &most, &sum);
    gradients_.scaled_exp(row, options_.V, most, 1 / (sum * static_cast<float>(teachers_.size())));
  }
  void to_logits(float* row) const {
    constexpr float kLeast = 1e-37f;  // so that a probability of nothing is a finite logit
    const auto temperature = static_cast<float>(options_.temperature);
    for (int64_t v = 0; v < options_.V; ++v) row[v] = temperature * std::log(std::max(row[v], kLeast));
  }

  std::vector<TeacherLogits> teachers_;
  EnsembleOptions options_;
  const KernelTable& kernels_;
  const GradientKernels& gradients_;
  EnsembleScratch& scratch_;
};

}  // namespace

TeacherLogits ensemble(std::vector<TeacherLogits> teachers, const EnsembleOptions& options, EnsembleScratch& scratch) {
  if (teachers.size() == 1) return std::move(teachers.front());
  const auto shared = std::make_shared<Ensemble>(std::move(teachers), options, scratch);
  return [shared](int64_t first, int64_t rows, float* out) { return shared->logits(first, rows, out); };
}

uint64_t ensemble_bytes(const ProgramStorage& program, size_t teachers, int64_t outputs) {
  if (teachers < 2) return 0;
  const int64_t V = program.view().slots[static_cast<size_t>(program.view().logits)].width;
  return static_cast<uint64_t>(extents_of(program.view(), outputs, outputs).chunk * V) * sizeof(float);
}

}  // namespace kinglet::train
