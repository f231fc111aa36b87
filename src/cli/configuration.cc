#include "cli/configuration.h"

#include "convert/presets.h"
#include "formats/hf_directory.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::cli {
namespace {

Status set_key(Json& config, const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0)
    return error(Code::invalid_argument, "--set takes KEY=VALUE, not '{}'", word);
  auto value = parse_json(word.substr(equals + 1));
  config[word.substr(0, equals)] = value.ok() ? *std::move(value) : Json(word.substr(equals + 1));
  return ok_status();
}

}  // namespace

Result<Checkpoint> open_configuration(const std::string& model, std::span<const std::string> set) {
  HfDirectory hf;
  hf.path = model;
  if (is_directory(model)) {
    KL_ASSIGN(const Checkpoint directory, Checkpoint::open(model));
    if (set.empty()) return directory;
    hf.config = directory.hf()->config;
    hf.tokenizer = directory.hf()->tokenizer;
    hf.sentencepiece = directory.hf()->sentencepiece;
  } else if (is_file(model)) {
    if (!model.ends_with(".json"))
      return error(Code::unsupported,
                   "{}: train takes a Hugging Face directory, a config.json or a preset; `kinglet convert` makes a "
                   "directory of a GGUF",
                   model);
    KL_ASSIGN(hf.config, read_json(model));
    if (!hf.config.is_object()) return error(Code::corrupt, "{}: not a JSON object", model);
  } else {
    auto preset = convert::find_preset(model);
    if (!preset.ok())
      return error(Code::not_found, "{} is no directory, no config.json, and {}", model, preset.status().text());
    hf.config = preset->config;
  }
  for (const std::string& word : set) KL_TRY(set_key(hf.config, word));
  return Checkpoint::of(std::move(hf));
}

}  // namespace kinglet::cli
