// Lion, "Symbolic Discovery of Optimization Algorithms" (Chen et al. 2023), algorithm 2.
#include "train/optimizer_kinds.h"

namespace kinglet::train {
namespace {

float sign(float x) { return static_cast<float>((x > 0) - (x < 0)); }

class Lion final : public Optimizer {
 public:
  Lion(const OptimizerOptions& options, std::vector<TrainedTensor> tensors)
      : options_(options),
        tensors_(std::move(tensors)),
        pieces_(cut_pieces(tensors_)),
        momentum_(moments_like(tensors_)) {}

  void step(int64_t, double learning_rate, float gradient_scale, const Parallel& parallel) override {
    const auto beta1 = static_cast<float>(options_.beta1), beta2 = static_cast<float>(options_.beta2);
    parallel.for_each(static_cast<int64_t>(pieces_.size()), [&](int64_t n, int) {
      const Piece& p = pieces_[static_cast<size_t>(n)];
      const TrainedTensor& t = tensors_[p.tensor];
      std::vector<float>& momentum = momentum_[p.tensor];
      const double rate = learning_rate * t.rate;
      const auto step_size = static_cast<float>(rate), shrink = static_cast<float>(1 - rate * t.weight_decay);
      for (size_t i = p.begin; i < p.end; ++i) {
        const float g = t.gradient[i] * gradient_scale, m = momentum[i];
        t.values[i] = t.origin + (t.values[i] - t.origin) * shrink - step_size * sign(beta1 * m + (1 - beta1) * g);
        momentum[i] = beta2 * m + (1 - beta2) * g;
      }
    });
  }

  std::vector<StateTensor> state() override {
    std::vector<StateTensor> out;
    append_moments("exp_avg", tensors_, momentum_, out);
    return out;
  }

 private:
  OptimizerOptions options_;
  std::vector<TrainedTensor> tensors_;
  std::vector<Piece> pieces_;
  std::vector<std::vector<float>> momentum_;
};

}  // namespace

std::unique_ptr<Optimizer> make_lion(const OptimizerOptions& options, std::vector<TrainedTensor> tensors) {
  return std::make_unique<Lion>(options, std::move(tensors));
}

}  // namespace kinglet::train
