// A run's state in one file: trained weights, optimizer state, and in the metadata the rest as JSON. The container is safetensors:
// weights are "weights.NAME", the optimizer's tensors "optimizer.NAME".
#pragma once

#include <span>
#include <string>

#include "base/status.h"
#include "formats/json_fwd.h"
#include "train/optimizer.h"
#include "train/trained_tensor.h"

namespace kinglet::train {

/// Writes beside `path` and renames when all is on the disk: whatever happens, `path` is the old state or the new one, whole.
/// Errors: io (the disk is full, ...).
Status save_checkpoint(const std::string& path, const Json& state, std::span<const TrainedTensor> weights,
                       std::span<const StateTensor> optimizer);

/// Puts a file's tensors where they belong and answers its state. Nothing is changed where it fails.
/// Errors: not_found, io, corrupt (damaged, no checkpoint), invalid_argument (tensors of another model or optimizer, by name).
Result<Json> load_checkpoint(const std::string& path, std::span<const TrainedTensor> weights,
                             std::span<const StateTensor> optimizer);

/// The state alone.
Result<Json> read_checkpoint_state(const std::string& path);

/// The first of `wanted`'s settings that a checkpoint's differ in, as "lr is 0.001 here and 0.002 in the checkpoint"; empty: none.
std::string settings_difference(const Json& wanted, const Json& saved);

}  // namespace kinglet::train
