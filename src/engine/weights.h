// A program's parameters bound to the tensors of a checkpoint.
#pragma once

#include <span>
#include <vector>

#include "arch/model_spec.h"
#include "exec/plan.h"
#include "host/memory.h"

namespace kinglet {

class Weights {
 public:
  /// Linear weights and embeddings stay in the file's map; norms and biases become f32. Errors: not_found, corrupt (shape, values that
  /// are not finite), unsupported (a data type that no kernel takes).
  static Result<Weights> load(const Checkpoint& checkpoint, const ProgramStorage& program, const KernelTable& kernels,
                              Ledger& ledger);

  std::span<const ParamData> params() const { return params_; }
  std::span<ParamData> params() { return params_; }
  /// Whether every linear weight is f32: such a model runs with f32 keys and values.
  bool all_f32() const { return all_f32_; }
  uint64_t linear_bytes() const { return linear_bytes_; }

 private:
  std::vector<ParamData> params_;
  Block values_;  ///< f32 copies of norms and biases
  bool all_f32_ = true;
  uint64_t linear_bytes_ = 0;
};

}  // namespace kinglet
