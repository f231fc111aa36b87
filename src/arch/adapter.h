// LoRA and DoRA adapters: read from PEFT directories and GGUF files, written as both, applied as a rewrite of the program (never as
// a second model).
// Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"; file layouts of the PEFT library and of
// llama.cpp (convert_lora_to_gguf.py, llama-adapter.cpp). DoRA: Liu et al. 2024 (arXiv 2402.09353).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arch/model_spec.h"

namespace kinglet {

/// One adapted weight W (N, K): W x becomes W x + scale B A x, and with DoRA's magnitudes m (N) each row of W + scale B A is
/// scaled to the length m: gain (W x + scale B A x) with gain = m / |W + scale B A|. The bias is added after that.
struct LoraPair {
  ParamId base = kNone;
  int64_t R = 0;
  float scale = 1;
  std::vector<float> a;               ///< (R, K)
  std::vector<float> b;               ///< (N, R), rows in the order of the base's own rows
  std::vector<float> magnitude = {};  ///< (N), in that order; empty: LoRA
  std::vector<float> gain = {};       ///< (N), of the magnitudes, by set_gains()

  bool is_dora() const { return !magnitude.empty(); }
};

struct Adapter {
  std::string path;
  std::vector<LoraPair> pairs;
};

/// Reads `path`, a PEFT directory (adapter_config.json and adapter_model.safetensors) or a GGUF adapter, for the model
/// that `base` holds and `spec` describes; `weight` multiplies its strength.
/// Errors: unsupported (variants of LoRA but DoRA, by name), corrupt, invalid_argument where it was made for another model:
/// by architecture, by shape, and by fingerprint (arch/fingerprint.h) where it carries one.
Result<Adapter> read_adapter(const std::string& path, const ModelSpec& spec, const Checkpoint& base, float weight);

/// Adds the adapter's products behind the linear steps it adapts. `adapter` must outlive the program.
/// DoRA's magnitudes are parameters where they are trained, and else constant gains.
/// Errors: unsupported where DoRA and another adapter meet on one weight.
enum class AdapterUse : uint8_t { run, train };
Status apply_adapter(ProgramStorage& program, const Adapter& adapter, AdapterUse use = AdapterUse::run);

/// A program in which each row of a batch has one of several adapters, or none: `owners` says of each step whose rows alone it
/// computes (PlanOptions::owners). Parameters of the model's own come first, in their order.
struct ChoiceProgram {
  ProgramStorage program;
  std::vector<int16_t> owners;
};

/// `base` with the products of each of `adapters`, whose index is what a row chooses; they must outlive it.
/// A row's result is, bit for bit, that of the program with its adapter alone. Errors: unsupported for DoRA.
Result<ChoiceProgram> make_choice_program(ProgramStorage base, std::span<const std::unique_ptr<Adapter>> adapters);

/// Length of each row of W + scale B A. Errors: those of find_param; unsupported (a type of W).
Result<std::vector<double>> adapted_norms(const LoraPair& pair, const ModelSpec& spec, const Checkpoint& base);
/// The gains of every DoRA pair. Errors: as above; corrupt where a row has no length.
Status set_gains(Adapter& adapter, const ModelSpec& spec, const Checkpoint& base);

/// A A^T (R, R) of A (R, K).
std::vector<double> row_products(std::span<const float> a, int64_t R);
/// One column of a matrix (R, N).
struct ColumnView {
  const float* data;
  int64_t stride;
};
/// |w + scale b A|^2 from |w|^2, A w, A A^T and b (R).
double adapted_square(double square, ColumnView aw, std::span<const double> gram, std::span<const float> b,
                      double scale);

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
/// The same as a GGUF file that llama.cpp loads with --lora. Errors: also unsupported for DoRA, which that format lacks.
Status write_gguf_adapter(const std::string& path, const Adapter& adapter, const LoraSettings& settings,
                          const ModelSpec& spec, const Checkpoint& base);

}  // namespace kinglet
