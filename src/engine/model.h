// A model in memory: files, program, weights, vocabulary. Nothing here runs; engine/runner.h does.
#pragma once

#include <memory>
#include <string>

#include "arch/adapter.h"
#include "engine/packing.h"
#include "engine/weights.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {

struct AdapterChoice {
  std::string path;  ///< a PEFT directory or a GGUF adapter or a GGUF adapter
  float weight = 1;  ///< multiplies the adapter's own scale
};

struct ModelOptions {
  std::string kernels;         ///< row of the kernel table by name; empty: the best, or what KINGLET_ISA names
  std::string packing_folder;  ///< where packed copies of weights are kept; empty: nowhere
  uint64_t packing_smallest_bytes = PackingOptions().smallest_bytes;
  std::vector<AdapterChoice> adapters;
};

class Model {
 public:
  /// Opens, checks and binds the model at `path`; `ledger` must outlive it. Errors: as the readers', with the path.
  static Result<std::unique_ptr<Model>> load(const std::string& path, const ModelOptions& options, Ledger& ledger);

  const Checkpoint& checkpoint() const { return checkpoint_; }
  const ModelSpec& spec() const { return spec_; }
  const Hyper& hyper() const { return spec_.hyper; }
  const ProgramStorage& program() const { return spec_.program; }
  const KernelTable& kernels() const { return *kernels_; }
  std::span<const ParamData> params() const { return weights_.params(); }
  const Weights& weights() const { return weights_; }
  PackedWeights& packed() const { return *packed_; }
  Ledger& ledger() const { return *ledger_; }

  /// The vocabulary, loaded when first asked for (not thread-safe the first time). Errors: as Tokenizer::load.
  Result<const Tokenizer*> tokenizer() const;

  /// For each kv layer its window, 0 for none.
  std::vector<int32_t> kv_windows() const;
  /// The data type keys and values have by default: f32 beside f32 weights, else f16.
  DType default_kv_type() const { return weights_.all_f32() ? DType::f32 : DType::f16; }
  /// longrope: sequences longer than this use the long factors; INT64_MAX where length changes nothing.
  int64_t original_context() const;

 private:
  explicit Model(Checkpoint checkpoint) : checkpoint_(std::move(checkpoint)) {}
  Checkpoint checkpoint_;
  std::vector<std::unique_ptr<Adapter>> adapters_;  // the program views their values
  ModelSpec spec_;
  const KernelTable* kernels_ = nullptr;
  Weights weights_;
  std::unique_ptr<PackedWeights> packed_;
  Ledger* ledger_ = nullptr;
  mutable std::optional<Tokenizer> tokenizer_;
};

}  // namespace kinglet
