// AdamW as torch.optim.AdamW computes it (torch/optim/adamw.py, _single_tensor_adamw), with its moments in f32 or in 8 bits.
#include <algorithm>
#include <array>
#include <cmath>

#include "train/block_code.h"
#include "train/optimizer_kinds.h"

namespace kinglet::train {
namespace {

/// The scalars of one tensor's step.
struct Coefficients {
  float shrink;      ///< 1 - learning rate * weight decay
  float beta1_rest;  ///< 1 - beta1
  float beta2, beta2_rest;
  float step_size;    ///< learning rate / (1 - beta1^step)
  float second_bias;  ///< sqrt(1 - beta2^step)
  float eps;
  float gradient_scale;
  float origin;
};

Coefficients coefficients(const OptimizerOptions& o, const TrainedTensor& tensor, int64_t step, double learning_rate,
                          float gradient_scale) {
  const double rate = learning_rate * tensor.rate;
  const auto n = static_cast<double>(step);
  return {.shrink = static_cast<float>(1 - rate * tensor.weight_decay),
          .beta1_rest = static_cast<float>(1 - o.beta1),
          .beta2 = static_cast<float>(o.beta2),
          .beta2_rest = static_cast<float>(1 - o.beta2),
          .step_size = static_cast<float>(rate / (1 - std::pow(o.beta1, n))),
          .second_bias = static_cast<float>(std::sqrt(1 - std::pow(o.beta2, n))),
          .eps = static_cast<float>(o.eps),
          .gradient_scale = gradient_scale,
          .origin = tensor.origin};
}

void update(const Coefficients& c, std::span<float> values, std::span<const float> gradient, float* first,
            float* second) {
  for (size_t i = 0; i < values.size(); ++i) {
    const float g = gradient[i] * c.gradient_scale;
    first[i] += c.beta1_rest * (g - first[i]);
    second[i] = second[i] * c.beta2 + c.beta2_rest * g * g;
    const float denominator = std::sqrt(second[i]) / c.second_bias + c.eps;
    values[i] = c.origin + (values[i] - c.origin) * c.shrink - c.step_size * first[i] / denominator;
  }
}

class AdamW final : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, std::vector<TrainedTensor> tensors)
      : options_(options),
        tensors_(std::move(tensors)),
        pieces_(cut_pieces(tensors_)),
        first_(moments_like(tensors_)),
        second_(first_) {}

  void step(int64_t step, double learning_rate, float gradient_scale, const Parallel& parallel) override {
    parallel.for_each(static_cast<int64_t>(pieces_.size()), [&](int64_t i, int) {
      const Piece& p = pieces_[static_cast<size_t>(i)];
      const TrainedTensor& t = tensors_[p.tensor];
      update(coefficients(options_, t, step, learning_rate, gradient_scale), t.values.subspan(p.begin, p.end - p.begin),
             t.gradient.subspan(p.begin, p.end - p.begin), first_[p.tensor].data() + p.begin,
             second_[p.tensor].data() + p.begin);
    });
  }

  std::vector<StateTensor> state() override {
    std::vector<StateTensor> out;
    append_moments("exp_avg", tensors_, first_, out);
    append_moments("exp_avg_sq", tensors_, second_, out);
    return out;
  }

 private:
  OptimizerOptions options_;
  std::vector<TrainedTensor> tensors_;
  std::vector<Piece> pieces_;
  std::vector<std::vector<float>> first_, second_;
};

/// A moment in 8 bits. The second one is kept as its square root, whose range is half as wide in orders of magnitude.
struct CodedMoment {
  explicit CodedMoment(size_t values) : codes(values), scales(ceil_div(values, kBlockValues)) {}
  std::vector<uint8_t> codes;
  std::vector<float> scales;
};

class AdamW8 final : public Optimizer {
 public:
  AdamW8(const OptimizerOptions& options, std::vector<TrainedTensor> tensors)
      : options_(options), tensors_(std::move(tensors)), pieces_(cut_pieces(tensors_)) {
    for (const TrainedTensor& t : tensors_) {
      first_.emplace_back(t.values.size());
      second_.emplace_back(t.values.size());
    }
  }

  void step(int64_t step, double learning_rate, float gradient_scale, const Parallel& parallel) override {
    parallel.for_each(static_cast<int64_t>(pieces_.size()), [&](int64_t i, int) {
      const Piece& p = pieces_[static_cast<size_t>(i)];
      const Coefficients c = coefficients(options_, tensors_[p.tensor], step, learning_rate, gradient_scale);
      for (size_t begin = p.begin; begin < p.end; begin += kBlockValues)
        step_block(c, p.tensor, begin, std::min(kBlockValues, p.end - begin));
    });
  }

  std::vector<StateTensor> state() override {
    std::vector<StateTensor> out;
    append("exp_avg", first_, out);
    append("exp_avg_sq_root", second_, out);
    return out;
  }

 private:
  void step_block(const Coefficients& c, size_t tensor, size_t begin, size_t count) {
    const TrainedTensor& t = tensors_[tensor];
    CodedMoment& m = first_[tensor];
    CodedMoment& v = second_[tensor];
    const size_t block = begin / kBlockValues;
    std::array<float, kBlockValues> first, second;
    const auto m_codes = std::span(m.codes).subspan(begin, count), v_codes = std::span(v.codes).subspan(begin, count);
    const auto m_values = std::span(first).first(count), v_values = std::span(second).first(count);
    signed_.decode(m_codes, m.scales[block], m_values);
    positive_.decode(v_codes, v.scales[block], v_values);
    for (float& x : v_values) x *= x;
    update(c, t.values.subspan(begin, count), t.gradient.subspan(begin, count), first.data(), second.data());
    for (float& x : v_values) x = std::sqrt(x);
    signed_.encode(m_values, m_codes, m.scales[block]);
    positive_.encode(v_values, v_codes, v.scales[block]);
  }

  void append(std::string_view prefix, std::vector<CodedMoment>& moments, std::vector<StateTensor>& out) {
    for (size_t i = 0; i < moments.size(); ++i) {
      const std::string name = std::string(prefix) + "." + tensors_[i].name;
      out.push_back({name, DType::i8, tensors_[i].shape, std::as_writable_bytes(std::span(moments[i].codes))});
      const Shape scales{static_cast<int64_t>(moments[i].scales.size())};
      out.push_back({name + ".scales", DType::f32, scales, std::as_writable_bytes(std::span(moments[i].scales))});
    }
  }

  OptimizerOptions options_;
  std::vector<TrainedTensor> tensors_;
  std::vector<Piece> pieces_;
  std::vector<CodedMoment> first_, second_;
  BlockCode signed_{BlockCode::Sign::both}, positive_{BlockCode::Sign::positive};
};
static_assert(kPieceValues % kBlockValues == 0, "a block lies in one piece");

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, std::vector<TrainedTensor> tensors) {
  return std::make_unique<AdamW>(options, std::move(tensors));
}
std::unique_ptr<Optimizer> make_adamw8(const OptimizerOptions& options, std::vector<TrainedTensor> tensors) {
  return std::make_unique<AdamW8>(options, std::move(tensors));
}

}  // namespace kinglet::train
