// The public ways to load a Tokenizer.
#include "formats/hf_directory.h"
#include "host/error.h"
#include "tokenizer/loaders.h"

namespace kinglet {
namespace {

/// generation_config.json names one end token, or a list of them.
void add_generation_ends(const Json& config, Tokenizer::Impl& impl) {
  if (!config.is_object() || !config.contains("eos_token_id")) return;
  const Json& ids = config["eos_token_id"];
  const auto add = [&impl](const Json& id) {
    if (id.is_number_integer() && id >= 0 && id < impl.vocabulary.size()) impl.add_end_token(id.get<TokenId>());
  };
  if (ids.is_array()) {
    for (const Json& id : ids) add(id);
  } else {
    add(ids);
  }
}

LoadedTokenizer load_directory(const HfDirectory& directory) {
  std::unique_ptr<Tokenizer::Impl> impl;
  if (!directory.tokenizer.is_null()) {
    KL_ASSIGN(impl, load_tokenizer_json(directory.tokenizer, directory.tokenizer_config));
  } else if (!directory.sentencepiece.empty()) {
    KL_ASSIGN(impl, load_sentencepiece(directory.sentencepiece));
    apply_tokenizer_config(directory.tokenizer_config, *impl);
  } else {
    return error(Code::not_found, "{}: neither tokenizer.json nor tokenizer.model is there", directory.path);
  }
  if (!directory.chat_template.empty()) impl->chat_template = directory.chat_template;
  add_generation_ends(directory.generation_config, *impl);
  impl->find_end_tokens();
  return impl;
}

}  // namespace

Result<Tokenizer> Tokenizer::load(const Checkpoint& checkpoint) {
  LoadedTokenizer loaded = checkpoint.gguf() != nullptr ? load_gguf_tokenizer(*checkpoint.gguf())
                           : checkpoint.hf() != nullptr ? load_directory(*checkpoint.hf())
                                                        : Status(Code::internal, "a checkpoint of no kind");
  if (!loaded.ok()) return annotate(checkpoint.path(), loaded.status());
  return Tokenizer(*std::move(loaded));
}

Result<Tokenizer> Tokenizer::from_tokenizer_json(const Json& tokenizer) {
  return from_tokenizer_json(tokenizer, Json());
}

Result<Tokenizer> Tokenizer::from_gguf(const gguf::File& file) {
  KL_ASSIGN(auto impl, load_gguf_tokenizer(file));
  return Tokenizer(std::move(impl));
}

Result<Tokenizer> Tokenizer::from_tokenizer_json(const Json& tokenizer, const Json& tokenizer_config) {
  KL_ASSIGN(auto impl, load_tokenizer_json(tokenizer, tokenizer_config));
  return Tokenizer(std::move(impl));
}

Result<Tokenizer> Tokenizer::from_sentencepiece(std::string_view model_bytes) {
  KL_ASSIGN(auto impl, load_sentencepiece(model_bytes));
  return Tokenizer(std::move(impl));
}

}  // namespace kinglet
