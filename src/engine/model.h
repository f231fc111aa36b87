// A model in memory: files, program, weights, vocabulary. Nothing here runs; engine/runner.h does.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "arch/adapter.h"
#include "engine/packing.h"
#include "engine/weights.h"
#include "tokenizer/tokenizer.h"

namespace kinglet {

struct AdapterChoice {
  std::string path;    ///< a PEFT directory or a GGUF adapter
  float weight = 1;    ///< multiplies the adapter's own scale
  std::string name{};  ///< by which requests choose it; the engine goes by its index
};

struct ModelOptions {
  std::string kernels;         ///< row of the kernel table by name; empty: the best, or what KINGLET_ISA names
  std::string packing_folder;  ///< where packed copies of weights are kept; empty: nowhere
  uint64_t packing_smallest_bytes = PackingOptions().smallest_bytes;
  std::vector<AdapterChoice> adapters;  ///< that every sequence has
  std::vector<AdapterChoice> choices;   ///< of which each sequence may have one, by its index
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
  std::span<const ParamData> params() const { return weights_.params().first(spec_.program.params.size()); }
  /// The program in which each sequence has its own choice, and its parameters, which begin with params(). Null: there is no choice.
  const ChoiceProgram* choices() const { return choices_ ? &*choices_ : nullptr; }
  std::span<const ParamData> choice_params() const { return weights_.params(); }
  int32_t choice_count() const { return static_cast<int32_t>(choice_adapters_.size()); }
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
  Status add_adapters(const ModelOptions& options);
  Status add_choices(const ModelOptions& options);

  Checkpoint checkpoint_;
  std::vector<std::unique_ptr<Adapter>> adapters_;  // the program views their values
  std::vector<std::unique_ptr<Adapter>> choice_adapters_;
  ModelSpec spec_;
  std::optional<ChoiceProgram> choices_;
  const KernelTable* kernels_ = nullptr;
  Weights weights_;
  std::unique_ptr<PackedWeights> packed_;
  Ledger* ledger_ = nullptr;
  mutable std::optional<Tokenizer> tokenizer_;
};

}  // namespace kinglet
