// What the kinds of tokenizer.json have in common, read and written: vocabularies, added tokens, what goes around a text.
#pragma once

#include "convert/tokenizer_data.h"
#include "formats/json.h"

namespace kinglet::convert {

/// Ids of tokens lie below it.
constexpr int64_t kMaxTokenId = int64_t{1} << 24;

// -- reading --

/// "vocab" as an object from text to id; the tokens are normal ones. Errors: corrupt.
Status read_vocab(const Json& model, TokenizerData& data);

/// A token that a file adds to the vocabulary, or says more of. Errors: corrupt (no usable id).
Status add_token(TokenizerData& data, const Json& id, std::string_view text, bool special);
/// "added_tokens". Errors: as add_token.
Status add_tokens_of_json(TokenizerData& data, const Json& tokenizer);

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
