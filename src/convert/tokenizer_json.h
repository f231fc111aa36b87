// What the kinds of tokenizer.json have in common, read and written: vocabularies, added tokens, what goes around a text.
#pragma once

#include "convert/tokenizer_data.h"
#include "formats/json.h"

namespace kinglet::convert {

/// Ids of tokens lie below it.
constexpr int64_t kMaxTokenId = int64_t{1} << 24;

/// The roles of tokens as tokenizer_config.json ("bos_token") and as GGUF ("tokenizer.ggml.bos_token_id") call them.
struct Role {
  std::string_view hf, gguf;
};
inline constexpr Role kRoles[] = {{"bos", "bos"},     {"eos", "eos"}, {"unk", "unknown"}, {"sep", "seperator"},
                                  {"pad", "padding"}, {"cls", "cls"}, {"mask", "mask"}};

// -- reading --

/// "vocab" as an object from text to id; the tokens are normal ones. Errors: corrupt.
Status read_vocab(const Json& model, TokenizerData& data);

/// Tokens that a file adds to the vocabulary, or says more of: "added_tokens" of tokenizer.json and "added_tokens_decoder" of
/// tokenizer_config.json. Errors: corrupt (no usable id; far more ids without a token than with one).
Status add_tokens_of_json(TokenizerData& data, const Json& tokenizer);
Status add_tokens_of_config(TokenizerData& data, const Json& config);

// -- writing --

/// Control and user-defined tokens are matched before the model sees the text.
bool is_added(const TokenizerData& data, size_t i);
/// What to_gguf filled an empty id with.
bool is_padding(const TokenizerData& data, size_t i);

/// An entry of "added_tokens_decoder".
Json added_token(const TokenizerData& data, size_t i);

/// The object from text to id, of all tokens or of those that are not added; padding is left out.
enum class VocabOf { all, not_added };
Json vocab_json(const TokenizerData& data, VocabOf which);

/// The tokens that the model wants before and after every text as a TemplateProcessing step; null where there are none.
Json text_template(const TokenizerData& data);

/// The parts of a tokenizer.json that differ by kind.
struct TokenizerSteps {
  Json normalizer, pre_tokenizer, post_processor, decoder, model;
};
/// The whole, with the added tokens.
Json make_tokenizer_json(const TokenizerData& data, TokenizerSteps steps);

}  // namespace kinglet::convert
