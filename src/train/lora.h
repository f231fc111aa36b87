// New LoRA and DoRA adapters to train, and what training made of them.
#pragma once

#include <string>
#include <vector>

#include "arch/adapter.h"
#include "train/parameters.h"

namespace kinglet::train {

struct LoraOptions {
  int64_t rank = 16;
  double alpha = 32;
  bool rank_stabilized = false;  ///< scale alpha / sqrt(rank)
  /// Which linear weights, by the last part of their names in Hugging Face files or GGUF ("q_proj", "attn_q"); empty: all
  /// in the layers (the output head is not).
  std::vector<std::string> targets;
  uint64_t seed = 1;
};

/// An adapter that changes nothing yet: A is uniform in +-1/sqrt(K), as PEFT begins (Kaiming, a = sqrt(5)), B is zero. The
/// same seed gives the same values. Errors: invalid_argument (a rank below 1 or past 65536, a target that no weight has).
Result<Adapter> new_adapter(const ModelSpec& spec, const LoraOptions& options);

/// Makes a new adapter DoRA's: each row keeps the length that it has in `base`. Errors: those of adapted_norms().
Status begin_magnitudes(Adapter& adapter, const ModelSpec& spec, const Checkpoint& base);

/// Puts the trained values back into `adapter`, which `program` was rewritten with (AdapterUse::train) and `parameters` were loaded for.
/// Errors: internal where they do not belong together.
Status take_adapter(const ProgramStorage& program, const Parameters& parameters, Adapter& adapter);

/// Trained values of an adapter.
int64_t adapter_values(const Adapter& adapter);

}  // namespace kinglet::train
