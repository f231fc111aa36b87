#include "tokenizer/chat_source.h"

#include "formats/hf_directory.h"

#include <utility>

namespace kinglet {
namespace {

constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "pad_token"};

/// The text of the token whose id the metadata gives.
std::string token_of(const gguf::File& file, const std::string& id_key) {
  const auto id = file.get_int(id_key);
  const gguf::Array* tokens = file.get_array("tokenizer.ggml.tokens");
  if (!id || *id < 0 || !tokens) return {};
  const auto* texts = std::get_if<std::vector<std::string>>(&tokens->items);
  if (!texts || static_cast<uint64_t>(*id) >= texts->size()) return {};
  return (*texts)[static_cast<size_t>(*id)];
}

ChatSource from_gguf(const gguf::File& file) {
  ChatSource source;
  source.text = file.get_string("tokenizer.chat_template").value_or("");
  source.tool_text = file.get_string("tokenizer.chat_template.tool_use").value_or("");
  const std::pair<const char*, const char*> keys[] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
                                                      {"eos_token", "tokenizer.ggml.eos_token_id"},
                                                      {"unk_token", "tokenizer.ggml.unknown_token_id"},
                                                      {"pad_token", "tokenizer.ggml.padding_token_id"}};
  for (const auto& [name, key] : keys) {
    if (std::string text = token_of(file, key); !text.empty()) source.special[name] = std::move(text);
  }
  return source;
}

/// A special token of tokenizer_config.json: its text, or an object that holds it.
std::string token_text(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (token.is_object() && token.contains("content") && token["content"].is_string())
    return token["content"].get<std::string>();
  return {};
}

/// The template called `name` in a list of named ones.
std::string named_template(const Json& list, std::string_view name) {
  if (!list.is_array()) return {};
  for (const Json& item : list) {
    if (!item.is_object() || !item.contains("name") || !item.contains("template")) continue;
    if (item["name"] == name && item["template"].is_string()) return item["template"].get<std::string>();
  }
  return {};
}

ChatSource from_directory(const HfDirectory& directory) {
  ChatSource source;
  source.text = directory.chat_template;
  const Json& config = directory.tokenizer_config;
  if (!config.is_object()) return source;
  if (config.contains("chat_template")) source.tool_text = named_template(config["chat_template"], "tool_use");
  for (const char* name : kSpecialTokens) {
    if (!config.contains(name)) continue;
    if (std::string text = token_text(config[name]); !text.empty()) source.special[name] = std::move(text);
  }
  return source;
}

}  // namespace

const std::string& ChatSource::for_variables(const Json& variables) const {
  const auto tools = variables.find("tools");
  const bool has_tools = tools != variables.end() && !tools->is_null();
  return has_tools && !tool_text.empty() ? tool_text : text;
}

Json ChatSource::with_special(Json variables) const {
  for (const auto& [name, token] : special.items()) {
    if (!variables.contains(name)) variables[name] = token;
  }
  return variables;
}

ChatSource chat_source(const Checkpoint& checkpoint) {
  if (checkpoint.gguf()) return from_gguf(*checkpoint.gguf());
  if (checkpoint.hf()) return from_directory(*checkpoint.hf());
  return {};
}

}  // namespace kinglet
