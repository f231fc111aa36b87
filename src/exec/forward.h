// Runs a plan on one ragged batch.
#pragma once

#include <span>

#include "base/parallel.h"
#include "exec/plan.h"

namespace kinglet {

/// A stretch of consecutive tokens of one sequence in the batch. Its key-value pages exist up to position + tokens.
struct BatchSequence {
  int32_t first_row = 0;
  int32_t tokens = 0;
  int64_t position = 0;              ///< of the first token; positions before it are stored already
  std::byte* const* const* pages{};  ///< [kv layer] -> block table: page i holds positions [64 i, 64 i + 64), null where freed
  bool long_rope = false;            ///< longrope: the sequence is (or will be) longer than the original context
};

struct Batch {
  std::span<const int32_t> tokens;               ///< (T) ids
  std::span<const BatchSequence> sequences;      ///< cover [0, T) in order
  std::span<const int32_t> outputs;              ///< (R) rows whose logits are asked for, ascending
  /// Told, on the calling thread, that every panel of a weight now lies in its pack_into.
  void (*on_packed)(void* self, ParamId param) = nullptr;
  void* on_packed_self = nullptr;
};

/// Walks the launches. `workspace` is plan.workspace_bytes, 64-byte aligned. Logits and hidden states lie in it until the next call.
/// Errors: out_of_range (a token outside the vocabulary, a batch beyond the plan).
Status forward(const Plan& plan, std::span<const ParamData> params, const Batch& batch, std::byte* workspace, const Parallel& parallel);

/// Row `row` (of outputs) of a slot that lives to the end: plan.program.logits or hidden.
const float* output_row(const Plan& plan, const std::byte* workspace, SlotId slot, int64_t row);

}  // namespace kinglet
