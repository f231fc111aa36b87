#include "formats/checkpoint.h"

#include "formats/hf_directory.h"

#include "host/error.h"
#include "host/file.h"

namespace kinglet {
namespace {

/// A JSON file of the directory, null where it is absent.
Result<Json> read_optional_json(const std::string& folder, const char* name) {
  const std::string path = join_path(folder, name);
  if (!is_file(path)) return Json();
  return read_json(path);
}

Result<std::string> read_optional(const std::string& folder, const char* name) {
  const std::string path = join_path(folder, name);
  if (!is_file(path)) return std::string();
  return read_file(path);
}

/// The chat template inside tokenizer_config.json: a string, or a list of named ones of which "default" counts.
std::string template_of_config(const Json& tokenizer_config) {
  if (!tokenizer_config.is_object() || !tokenizer_config.contains("chat_template")) return {};
  const Json& value = tokenizer_config["chat_template"];
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return {};
  for (const Json& item : value) {
    if (!item.is_object()) continue;
    const auto name = item.find("name");
    const auto text = item.find("template");
    if (name != item.end() && *name == "default" && text != item.end() && text->is_string()) {
      return text->get<std::string>();
    }
  }
  return {};
}

/// Whether the folder holds weights under the names that safetensors::File::open looks for.
bool has_weights(const std::string& folder) {
  return is_file(join_path(folder, "model.safetensors")) || is_file(join_path(folder, "model.safetensors.index.json"));
}

/// `weights`: the safetensors file or index to open; empty for those of the folder, if any.
Result<HfDirectory> open_directory(const std::string& folder, const std::string& weights) {
  HfDirectory hf;
  hf.path = folder;
  KL_ASSIGN(hf.config, read_optional_json(folder, "config.json"));
  KL_ASSIGN(hf.tokenizer, read_optional_json(folder, "tokenizer.json"));
  KL_ASSIGN(hf.tokenizer_config, read_optional_json(folder, "tokenizer_config.json"));
  KL_ASSIGN(hf.generation_config, read_optional_json(folder, "generation_config.json"));
  KL_ASSIGN(hf.sentencepiece, read_optional(folder, "tokenizer.model"));
  KL_ASSIGN(hf.chat_template, read_optional(folder, "chat_template.jinja"));
  if (hf.chat_template.empty()) hf.chat_template = template_of_config(hf.tokenizer_config);
  for (const auto& [json, name] : {std::pair(&hf.config, "config.json"), std::pair(&hf.tokenizer, "tokenizer.json"),
                                   std::pair(&hf.tokenizer_config, "tokenizer_config.json"),
                                   std::pair(&hf.generation_config, "generation_config.json")}) {
    if (json->is_null() || json->is_object()) continue;
    return error(Code::corrupt, "{}: not a JSON object", join_path(folder, name));
  }
  if (!weights.empty() || has_weights(folder)) {
    KL_ASSIGN(hf.weights, safetensors::File::open(weights.empty() ? folder : weights));
  }
  return hf;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of("/\\");
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& path) {
  if (is_directory(path)) {
    KL_ASSIGN(auto hf, open_directory(path, ""));
    if (hf.config.is_null() && hf.tokenizer.is_null() && hf.sentencepiece.empty() && !hf.weights) {
      return error(Code::not_found, "{}: the folder holds no model (no config.json, weights or tokenizer)", path);
    }
    return of(std::move(hf));
  }
  if (path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json")) {
    KL_ASSIGN(auto hf, open_directory(folder_of(path), path));
    return of(std::move(hf));
  }
  KL_ASSIGN(auto file, gguf::File::open(path));
  return of(std::move(file), path);
}

Checkpoint Checkpoint::of(HfDirectory hf) {
  Checkpoint out;
  out.path_ = hf.path;
  out.hf_ = std::make_shared<HfDirectory>(std::move(hf));
  return out;
}

Checkpoint Checkpoint::of(gguf::File file, std::string path) {
  Checkpoint out;
  out.path_ = std::move(path);
  out.gguf_ = std::make_shared<gguf::File>(std::move(file));
  return out;
}

std::optional<TensorView> Checkpoint::find_tensor(std::string_view name) const {
  if (gguf_) {
    const gguf::Tensor* t = gguf_->find_tensor(name);
    return t ? std::optional(TensorView{t->dtype, t->shape, t->data}) : std::nullopt;
  }
  const safetensors::Tensor* t = hf_->weights ? hf_->weights->find(name) : nullptr;
  return t ? std::optional(TensorView{t->dtype, t->shape, t->data}) : std::nullopt;
}

uint64_t Checkpoint::weight_bytes() const {
  if (gguf_) return gguf_->file_bytes();
  return hf_->weights ? hf_->weights->file_bytes() : 0;
}

}  // namespace kinglet
