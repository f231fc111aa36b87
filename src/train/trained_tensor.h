// The tensors that a run trains, as optimizers, clipping and checkpoints see them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "tensor/shape.h"
#include "train/parameters.h"

namespace kinglet::train {

/// One tensor; the memory is somebody else's (train/parameters.h).
struct TrainedTensor {
  std::string name;
  Shape shape;
  std::span<float> values;
  std::span<float> gradient;  ///< as many
  double weight_decay = 0;    ///< decoupled: values move towards the origin by learning rate times this in each step
  float origin = 0;           ///< 1 for norms that are held as 1 + w
  bool hidden = false;        ///< a layer's matrix: neither embedding nor output head, no vector
  double rate = 1;            ///< its learning rate over the run's (LoRA+ gives B matrices a larger one)
};

struct TrainedTensorOptions {
  double weight_decay = 0.1;
  bool decay_all = false;      ///< norms and biases too
  double lora_plus_ratio = 1;  ///< rate of adapters' B matrices ("LoRA+", Hayou et al. 2024)
};
/// Those of `parameters` that have a gradient; the parameters keep the memory.
std::vector<TrainedTensor> trained_tensors(Parameters& parameters, const TrainedTensorOptions& options);

/// A stretch of one tensor: the unit of parallel work. Stretches do not depend on the number of threads, so neither do results.
struct Piece {
  size_t tensor;
  size_t begin, end;
};
inline constexpr size_t kPieceValues = size_t{1} << 15;
std::vector<Piece> cut_pieces(std::span<const TrainedTensor> tensors);

/// Euclidean norm of all gradients together, summed in doubles in one fixed order.
double gradient_norm(std::span<const TrainedTensor> tensors, const Parallel& parallel);

/// What torch.nn.utils.clip_grad_norm_ multiplies gradients of this norm with: most / (norm + 1e-6), at most 1.
/// `most` 0: no clipping.
float clip_factor(double norm, double most);

}  // namespace kinglet::train
