#include "cli/load_model.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>

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
  const char* text = words.names_adapters ? "a LoRA adapter (a PEFT directory or a GGUF adapter) that requests choose "
                                            "as MODEL:NAME: NAME=PATH, or NAME=PATH=SCALE; "
                                            "without a name every request gets it; may be given several times"
                                          : "apply a LoRA adapter (a PEFT directory or a GGUF adapter): PATH, or "
                                            "PATH=SCALE; may be given several times";
  arguments.option("--adapter", words.adapters, text);
}

namespace {
bool exists(const std::string& path) { return is_directory(path) || is_file(path); }

std::optional<float> scale_of(std::string_view text) {
  float scale = 0;
  const char* end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, scale);
  return ec == std::errc() && stop == end && std::isfinite(scale) ? std::optional(scale) : std::nullopt;
}

// [NAME=]PATH[=SCALE], where a path that exists may have a '=' of its own.
Result<AdapterChoice> parse_adapter(const std::string& word, bool may_have_name) {
  AdapterChoice choice{word, 1};
  const size_t last = word.rfind('=');
  if (last == std::string::npos || exists(word)) return choice;
  if (const auto scale = scale_of(std::string_view(word).substr(last + 1))) {
    choice = {word.substr(0, last), *scale};
  } else if (!may_have_name) {
    return error(Code::invalid_argument, "--adapter {}: the scale after '=' is no number", word);
  }
  const size_t first = choice.path.find('=');
  if (!may_have_name || first == std::string::npos || exists(choice.path)) return choice;
  choice.name = choice.path.substr(0, first);
  choice.path.erase(0, first + 1);
  if (choice.name.empty()) return error(Code::invalid_argument, "--adapter {}: the name before '=' is empty", word);
  return choice;
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
    KL_ASSIGN(AdapterChoice choice, parse_adapter(word, words.names_adapters));
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
  KL_ASSIGN(const std::vector<AdapterChoice> adapters, adapter_choices(words));
  for (const AdapterChoice& choice : adapters)
    (choice.name.empty() ? options.adapters : options.choices).push_back(choice);
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
