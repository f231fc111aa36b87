#include "cli/load_model.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "host/error.h"
#include "host/file.h"
#include "hub/home.h"
#include "hub/resolve.h"

namespace kinglet::cli {

void add_model(Arguments arguments, ModelWords& words) {
  arguments.option("MODEL", words.name, "a name from `kinglet list`, a GGUF file or a Hugging Face directory")
      .required();
  arguments.flag("--reference", words.reference, "compute with the reference kernels: slow, readable, the yardstick");
}

void add_cache(Arguments arguments, ModelWords& words) {
  arguments.option("-c,--ctx", words.context, "longest conversation in tokens (default: what the model was made for)")
      .range(int64_t{1}, int64_t{1} << 30);
  arguments
      .option("--kv,--kv-type", words.kv_type,
              "keys and values as f16, bf16, i8 or f32 (default: f32 beside f32 weights, else f16)")
      .one_of({"f16", "bf16", "i8", "f32"});
}

void add_adapters(Arguments arguments, ModelWords& words) {
  arguments.option(
      "--adapter", words.adapters,
      "apply a LoRA adapter (a PEFT directory or a GGUF adapter): PATH, or PATH=SCALE; may be given several times");
}

namespace {
Result<AdapterChoice> parse_adapter(const std::string& word) {
  const size_t equals = word.rfind('=');
  if (equals == std::string::npos || is_directory(word) || is_file(word)) return AdapterChoice{word, 1};
  float scale = 0;
  const char* end = word.data() + word.size();
  const auto [stop, ec] = std::from_chars(word.data() + equals + 1, end, scale);
  if (ec != std::errc() || stop != end || !std::isfinite(scale))
    return error(Code::invalid_argument, "--adapter {}: the scale after '=' is no number", word);
  return AdapterChoice{word.substr(0, equals), scale};
}
}  // namespace

const Tuning& machine_tuning() {
  static const Tuning tuning = [] {
    const auto home = hub::home_directory();
    return find_tuning(home.ok() ? (*home / "tuning.json").string() : std::string());
  }();
  return tuning;
}

namespace {
ModelOptions model_options(const ModelWords& words) {
  const bool chosen = std::getenv("KINGLET_ISA") != nullptr;
  ModelOptions options{.kernels = words.reference ? "ref" : chosen ? "" : machine_tuning().kernels};
  if (const auto home = hub::home_directory(); home.ok()) options.packing_folder = (*home / "packed").string();
  return options;
}
}  // namespace

Result<std::unique_ptr<Model>> load_beside(const std::string& name, const ModelWords& words, const LoadedModel& first) {
  KL_ASSIGN(const std::string path, hub::resolve_model(name));
  return Model::load(path, model_options(words), *first.ledger);
}

Result<std::vector<AdapterChoice>> adapter_choices(const ModelWords& words) {
  std::vector<AdapterChoice> out;
  for (const std::string& word : words.adapters) {
    KL_ASSIGN(AdapterChoice choice, parse_adapter(word));
    out.push_back(std::move(choice));
  }
  return out;
}

Result<uint64_t> memory_limit(const CommonOptions& common) {
  return common.memory.empty() ? UINT64_MAX : parse_bytes(common.memory);
}

Result<std::unique_ptr<Model>> load_model(const ModelWords& words, Ledger& ledger, std::string* path) {
  KL_ASSIGN(const std::string found, hub::resolve_model(words.name));
  if (path != nullptr) *path = found;
  ModelOptions options = model_options(words);
  KL_ASSIGN(options.adapters, adapter_choices(words));
  return Model::load(found, options, ledger);
}

Result<LoadedModel> load_model(const ModelWords& words, const CommonOptions& common) {
  KL_ASSIGN(const uint64_t limit, memory_limit(common));
  LoadedModel loaded;
  loaded.ledger = std::make_unique<Ledger>(limit);
  KL_ASSIGN(loaded.model, load_model(words, *loaded.ledger, &loaded.path));
  return loaded;
}

Result<RunnerOptions> runner_options(const ModelWords& words, const CommonOptions& common) {
  const Tuning& tuning = machine_tuning();
  RunnerOptions options{.threads = common.threads > 0 ? common.threads : tuning.threads, .context = words.context};
  // The threshold was measured with the row that was chosen.
  if (!words.reference && std::getenv("KINGLET_ISA") == nullptr) options.few_tokens = tuning.few_tokens;
  if (!words.kv_type.empty()) {
    const auto type = dtype_from_name(words.kv_type);
    if (type != DType::f16 && type != DType::bf16 && type != DType::i8 && type != DType::f32)
      return error(Code::invalid_argument, "--kv is f16, bf16, i8 or f32, not '{}'", words.kv_type);
    options.kv_type = type;
  }
  return options;
}

}  // namespace kinglet::cli
