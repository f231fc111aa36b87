// LoRA adapters: read from PEFT directories, applied as a rewrite of the program (never as a second model).
// Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"; file layout of the PEFT library.
#pragma once

#include <string>
#include <vector>

#include "arch/builder.h"
#include "formats/checkpoint.h"

namespace kinglet {

/// One adapted weight W (N, K): W x becomes W x + scale B A x.
struct LoraPair {
  ParamId base = kNone;
  int64_t R = 0;
  float scale = 1;
  std::vector<float> a;  ///< (R, K)
  std::vector<float> b;  ///< (N, R), rows in the order of the base's own rows
};

struct Adapter {
  std::string path;
  std::vector<LoraPair> pairs;
};

/// Reads `path` (adapter_config.json and adapter_model.safetensors) for the model that `program` is of; `weight` multiplies its strength.
/// Errors: unsupported (DoRA and other variants, by name), corrupt, invalid_argument where it was made for another model (by shape).
Result<Adapter> read_adapter(const std::string& path, const ProgramStorage& program, Checkpoint::Kind base_kind,
                             float weight);

/// Adds the adapter's products behind the linear steps it adapts. `adapter` must outlive the program.
Status apply_adapter(ProgramStorage& program, const Adapter& adapter);

}  // namespace kinglet
