#include "cli/load_model.h"

#include "host/error.h"
#include "hub/home.h"
#include "hub/resolve.h"

namespace kinglet::cli {

void add_model(CLI::App& app, ModelWords& words) {
  app.add_option("MODEL", words.name, "a name from `kinglet list`, a GGUF file or a Hugging Face directory")->required();
  app.add_flag("--reference", words.reference, "compute with the reference kernels: slow, readable, the yardstick");
}

void add_cache(CLI::App& app, ModelWords& words) {
  app.add_option("-c,--ctx", words.context, "longest conversation in tokens (default: what the model was made for)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  app.add_option("--kv-type", words.kv_type, "keys and values as f16 or f32 (default: f32 beside f32 weights, else f16)")
      ->check(CLI::IsMember({"f16", "f32"}));
}

Result<LoadedModel> load_model(const ModelWords& words, const CommonOptions& common) {
  uint64_t limit = UINT64_MAX;
  if (!common.memory.empty()) {
    KL_ASSIGN(limit, parse_bytes(common.memory));
  }
  LoadedModel loaded;
  KL_ASSIGN(loaded.path, hub::resolve_model(words.name));
  loaded.ledger = std::make_unique<Ledger>(limit);
  ModelOptions options{.kernels = words.reference ? "ref" : ""};
  if (const auto home = hub::home_directory(); home.ok()) options.packing_folder = (*home / "packed").string();
  KL_ASSIGN(loaded.model, Model::load(loaded.path, options, *loaded.ledger));
  return loaded;
}

Result<RunnerOptions> runner_options(const ModelWords& words, const CommonOptions& common) {
  RunnerOptions options{.threads = common.threads, .context = words.context};
  if (words.kv_type == "f16") {
    options.kv_type = DType::f16;
  } else if (words.kv_type == "f32") {
    options.kv_type = DType::f32;
  } else if (!words.kv_type.empty()) {
    return error(Code::invalid_argument, "--kv-type is f16 or f32, not '{}'", words.kv_type);
  }
  return options;
}

}  // namespace kinglet::cli
