// Optimizers: what a step makes of gradients.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/parallel.h"
#include "base/status.h"
#include "train/compute.h"
#include "train/trained_tensor.h"

namespace kinglet::train {

enum class OptimizerKind : uint8_t {
  adamw,      ///< torch.optim.AdamW, operation for operation, in f32 (Loshchilov and Hutter 2019)
  adamw8,     ///< the same with both moments in 8 bits, scaled by blocks (Dettmers et al. 2022)
  lion,       ///< signs of an interpolated momentum; one moment (Chen et al. 2023)
  adafactor,  ///< factored second moments, no first: a row and a column for each matrix (Shazeer and Stern 2018)
  muon,       ///< orthogonal momentum for the layers' matrices, adamw for the rest (Jordan 2024, Liu et al. 2025)
};
std::string_view name(OptimizerKind kind);
std::optional<OptimizerKind> optimizer_from_name(std::string_view name);

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  double beta1 = 0.9;    ///< adamw, lion
  double beta2 = 0.999;  ///< adamw, lion
  double eps = 1e-8;     ///< adamw
  // Of muon's matrix products: bf16 multiplies in bf16 where the processor does; and whose threads step() is going to be given.
  Compute compute = Compute::f32;
  Parallel parallel = Parallel::serial();
};

/// A tensor of an optimizer's state, for checkpoints; the bytes are the optimizer's own and may be written.
struct StateTensor {
  std::string name;  ///< "exp_avg.model.norm.weight"
  DType dtype;
  Shape shape;
  std::span<std::byte> data;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Changes the values. `step` counts from 1. Each gradient is multiplied by `gradient_scale` (clip_factor()) on the way in and
  /// is not changed. The result is the same bits for any number of threads.
  virtual void step(int64_t step, double learning_rate, float gradient_scale, const Parallel& parallel) = 0;
  virtual std::vector<StateTensor> state() = 0;
};

/// Errors: out_of_range for betas or eps that are none; resource_exhausted.
Result<std::unique_ptr<Optimizer>> make_optimizer(const OptimizerOptions& options, std::vector<TrainedTensor> tensors);

/// Bytes of the state for a tensor of this shape, without making it; `hidden` as in TrainedTensor.
uint64_t optimizer_state_bytes(OptimizerKind kind, const Shape& shape, bool hidden);

}  // namespace kinglet::train
