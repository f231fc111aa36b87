#include "train/save_model.h"

#include "formats/hf_directory.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::train {
namespace {

/// What a directory may hold of a tokenizer.
constexpr const char* kTokenizerFiles[] = {
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json",     "merges.txt",      "chat_template.jinja",   "generation_config.json"};

std::span<const std::byte> stored_values(const Parameter& p, std::vector<float>& buffer) {
  if (p.origin == 0) return std::as_bytes(p.values);
  buffer.assign(p.values.begin(), p.values.end());
  for (float& v : buffer) v -= p.origin;
  return std::as_bytes(std::span(buffer));
}

Status write_weights(const Parameters& parameters, const std::string& path) {
  safetensors::Writer file(path);
  file.set_metadata("format", "pt");
  for (const Parameter& p : parameters.all()) KL_TRY(file.declare(p.name, DType::f32, p.shape));
  KL_TRY(file.begin());
  std::vector<float> buffer;
  for (const Parameter& p : parameters.all()) KL_TRY(file.write_tensor(stored_values(p, buffer)));
  return file.finish();
}

Status copy_tokenizer(const std::string& from, const std::string& to) {
  for (const char* name : kTokenizerFiles) {
    if (!is_file(join_path(from, name))) continue;
    KL_ASSIGN(const std::string content, read_file(join_path(from, name)));
    KL_TRY(write_file(join_path(to, name), content));
  }
  return ok_status();
}

}  // namespace

Status save_model(const Parameters& parameters, const Checkpoint& config, const std::string& tokenizer,
                  const std::string& folder) {
  KL_TRY(make_directories(folder));
  Json json = config.hf()->config;
  for (const char* key : {"dtype", "torch_dtype"})
    if (json.contains(key)) json[key] = "float32";
  KL_TRY(write_weights(parameters, join_path(folder, "model.safetensors")));
  KL_TRY(write_file(join_path(folder, "config.json"), to_text(json, 2) + "\n"));
  return tokenizer.empty() ? ok_status() : copy_tokenizer(tokenizer, folder);
}

}  // namespace kinglet::train
