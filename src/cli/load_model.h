// How every command opens its MODEL: the words it understands, the memory ledger, the threads, the kernels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "engine/runner.h"
#include "engine/tuning.h"

namespace kinglet::cli {

/// What a command's words say about its model.
struct ModelWords {
  std::string name;        ///< a registry name, a GGUF file or a Hugging Face directory
  bool reference = false;  ///< the slow, readable kernels
  int64_t context = 0;     ///< --ctx; 0: what the model was made for
  std::string kv_type;     ///< --kv: f16, bf16, i8, f32; empty: what suits the weights
  std::vector<std::string>
      adapters;                 ///< --adapter DIR or DIR=scale; where names_adapters NAME=DIR or NAME=DIR=scale too
  bool names_adapters = false;  ///< named ones are there to be chosen, sequence by sequence
};

/// Declares MODEL and --reference.
void add_model(Arguments arguments, ModelWords& words);
/// Declares --adapter.
void add_adapters(Arguments arguments, ModelWords& words);
/// Declares --ctx and --kv, for commands that keep a conversation.
void add_cache(Arguments arguments, ModelWords& words);

/// The adapters that the words tell, with their scales and names. Errors: invalid_argument.
Result<std::vector<AdapterChoice>> adapter_choices(const ModelWords& words);

/// A model and what must live as long as it does.
struct LoadedModel {
  std::string path;                ///< where MODEL lies
  std::unique_ptr<Ledger> ledger;  ///< before the model: it outlives it
  std::unique_ptr<Model> model;
};

/// Opens MODEL. Errors: not_found (with what to run where it can be pulled), invalid_argument for a bad --memory,
/// resource_exhausted where --memory is too small, and the readers' own; each one line that names the model.
Result<LoadedModel> load_model(const ModelWords& words, const CommonOptions& common);

/// Opens another model beside `first`, counted in the same ledger, with the kernels that `words` ask for. Errors: as load_model().
Result<std::unique_ptr<Model>> load_beside(const std::string& name, const ModelWords& words, const LoadedModel& first);

/// What this machine computes fastest with: probed at the first run of any command, then remembered in
/// KINGLET_HOME/tuning.json.
const Tuning& machine_tuning();

/// The same with a ledger that several models share. `path`, where given, is set to where MODEL lies.
Result<std::unique_ptr<Model>> load_model(const ModelWords& words, Ledger& ledger, std::string* path = nullptr);
/// The limit that --memory sets; none where it is not given. Errors: invalid_argument.
Result<uint64_t> memory_limit(const CommonOptions& common);

/// RunnerOptions with what the words say of threads, context and cache.
Result<RunnerOptions> runner_options(const ModelWords& words, const CommonOptions& common);

}  // namespace kinglet::cli
