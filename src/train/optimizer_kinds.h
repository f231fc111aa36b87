// One function for each optimizer. Internal to train/: optimizer.cc chooses.
#pragma once

#include "train/optimizer.h"

namespace kinglet::train {

std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, std::vector<TrainedTensor> tensors);
std::unique_ptr<Optimizer> make_adamw8(const OptimizerOptions& options, std::vector<TrainedTensor> tensors);
std::unique_ptr<Optimizer> make_lion(const OptimizerOptions& options, std::vector<TrainedTensor> tensors);
std::unique_ptr<Optimizer> make_adafactor(std::vector<TrainedTensor> tensors);
uint64_t adafactor_state_values(const Shape& shape);
/// Errors: resource_exhausted.
Result<std::unique_ptr<Optimizer>> make_muon(const OptimizerOptions& options, std::vector<TrainedTensor> tensors);
/// Bytes of what matrices take while they are made orthogonal one after the other, beside the scratch of Products.
uint64_t muon_scratch_bytes(std::span<const Shape> matrices);
/// Multiply-adds of that for one.
double muon_multiplications(const Shape& matrix);

/// Zeros, one vector for each tensor, as long as it.
std::vector<std::vector<float>> moments_like(std::span<const TrainedTensor> tensors);
/// Appends moments to the state as "PREFIX.NAME".
void append_moments(std::string_view prefix, std::span<const TrainedTensor> tensors,
                    std::vector<std::vector<float>>& moments, std::vector<StateTensor>& state);

}  // namespace kinglet::train
