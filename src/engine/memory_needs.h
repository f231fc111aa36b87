// What memory a conversation takes, before it takes any.
#pragma once

#include "engine/runner.h"

namespace kinglet {

/// Bytes, by the same plan, pages and ledger that a Runner uses.
struct MemoryNeeds {
  uint64_t weights = 0;         ///< read where they lie in the file, and f32 copies of norms and biases
  uint64_t packed_weights = 0;  ///< in the kernels' own layout
  uint64_t key_values = 0;      ///< of one sequence that fills the context
  uint64_t activations = 0;     ///< the plan's workspace
  uint64_t total() const { return weights + packed_weights + key_values + activations; }
};

/// Of `model`, just loaded with a ledger of its own, when run with `options`. Errors: as Runner::create.
Result<MemoryNeeds> memory_needs(const Model& model, const RunnerOptions& options);

}  // namespace kinglet
