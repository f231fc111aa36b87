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
  int64_t position = 0;  ///< of the first token; positions before it are stored already
  std::byte* const* const*
      pages{};              ///< [kv layer] -> block table: page i holds positions [64 i, 64 i + 64), null where freed
  bool long_rope = false;   ///< longrope: the sequence is (or will be) longer than the original context
  int32_t adapter = kNone;  ///< whose steps it wants beside those of no owner (PlanOptions::owners)
};

/// Who is told while weights are packed on the way.
struct PackingObserver {
  void* self;
  /// These canonical rows have been packed, or these panels copied, and are not read again. Called by any worker.
  void (*rows_packed)(void* self, std::span<const std::byte> rows);
  /// Every panel of the weight lies in its place. Called on the thread that called forward().
  void (*param_packed)(void* self, ParamId param);
};

/// Who is told while embedding tables are read.
struct EmbeddingObserver {
  void* self;
  /// The rows of so many more tokens have been read, and are not read again for them. Called on the thread that called forward().
  void (*tokens_embedded)(void* self, size_t tokens);
};

/// Who may end a batch early.
struct Watch {
  void* self;
  /// Asked between launches, on the thread that called forward(); false ends the walk.
  bool (*keep_going)(void* self);
};

struct Batch {
  std::span<const int32_t> tokens;           ///< (T) ids
  std::span<const BatchSequence> sequences;  ///< cover [0, T) in order
  std::span<const int32_t> outputs;          ///< (R) rows whose logits are asked for, ascending
  /// Told what weights have been packed into their pack_into; null: nothing is kept, panels are packed into scratch.
  const PackingObserver* packing = nullptr;
  const Watch* watch = nullptr;  ///< null: the batch runs to its end
  const EmbeddingObserver* embedding = nullptr;
};

/// Walks the launches. `workspace` is plan.workspace_bytes, 64-byte aligned. Logits and hidden states lie in it until the next call.
/// Errors: out_of_range (a token outside the vocabulary, a batch beyond the plan), cancelled (by the watch).
Status forward(const Plan& plan, std::span<const ParamData> params, const Batch& batch, std::byte* workspace,
               const Parallel& parallel);

/// Row `row` (of outputs) of a slot that lives to the end: plan.program.logits or hidden.
const float* output_row(const Plan& plan, const std::byte* workspace, SlotId slot, int64_t row);

}  // namespace kinglet
