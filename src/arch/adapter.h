// LoRA adapters: read from PEFT directories and GGUF files, written as both, applied as a rewrite of the program (never as
// a second model).
// Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"; file layouts of the PEFT library and of
// llama.cpp (convert_lora_to_gguf.py, llama-adapter.cpp).
#pragma once

#include <string>
#include <vector>

#include "arch/model_spec.h"

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

/// Reads `path`, a PEFT directory (adapter_config.json and adapter_model.safetensors) or a GGUF adapter, for the model
/// that `base` holds and `spec` describes; `weight` multiplies its strength.
/// Errors: unsupported (DoRA and other variants, by name), corrupt, invalid_argument where it was made for another model:
/// by architecture, by shape, and by fingerprint (arch/fingerprint.h) where it carries one.
Result<Adapter> read_adapter(const std::string& path, const ModelSpec& spec, const Checkpoint& base, float weight);

/// Adds the adapter's products behind the linear steps it adapts. `adapter` must outlive the program.
Status apply_adapter(ProgramStorage& program, const Adapter& adapter);

/// What a written adapter says of itself. Every pair has this rank.
struct LoraSettings {
  int64_t rank = 0;
  double alpha = 0;              ///< strength: W x + alpha / rank B A x
  bool rank_stabilized = false;  ///< alpha / sqrt(rank) instead (rsLoRA)
  double dropout = 0;
  std::string base_name;  ///< of the model, for people

  double scale() const;
};

/// Writes `adapter` as a PEFT directory (made where it is absent) with the base's fingerprint. Errors: io.
Status write_peft_adapter(const std::string& folder, const Adapter& adapter, const LoraSettings& settings,
                          const ModelSpec& spec, const Checkpoint& base);
/// The same as a GGUF file that llama.cpp loads with --lora.
Status write_gguf_adapter(const std::string& path, const Adapter& adapter, const LoraSettings& settings,
                          const ModelSpec& spec, const Checkpoint& base);

}  // namespace kinglet
