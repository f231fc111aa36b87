#include "convert/wordpiece_json.h"

#include "convert/tokenizer_json.h"
#include "host/error.h"
#include "tokenizer/json_access.h"
#include "tokenizer/utf8.h"

namespace kinglet::convert {
namespace {

constexpr std::string_view kContinues = "##";

/// [unused7] and the like stand unmarked in files of older converters.
bool is_bracketed(std::string_view text) { return text.size() > 2 && text.starts_with('[') && text.ends_with(']'); }

Status read_normalizer(const Json& step, TokenizerData& data) {
  const bool plain = json_string(step, "type") == "BertNormalizer" && json_bool(step, "clean_text", true) &&
                     json_bool(step, "handle_chinese_chars", true);
  if (!plain) {
    return Status(
        Code::unsupported,
        "tokenizer.json: WordPiece in a GGUF needs a BertNormalizer with clean_text and handle_chinese_chars");
  }
  data.lowercase = json_bool(step, "lowercase", true);
  const Json& accents = json_member(step, "strip_accents");
  if (accents.is_boolean() && accents.get<bool>() != data.lowercase) data.strip_accents = accents.get<bool>();
  return ok_status();
}

}  // namespace

Result<TokenizerData> wordpiece_from_json(const Json& tokenizer) {
  const Json& model = json_member(tokenizer, "model");
  if (const Json& prefix = json_member(model, "continuing_subword_prefix");
      prefix.is_string() && json_string(prefix) != kContinues) {
    return error(Code::unsupported, "tokenizer.json: WordPiece with the prefix \"{}\"", json_string(prefix));
  }
  if (const auto type = json_string(json_member(tokenizer, "pre_tokenizer"), "type"); type != "BertPreTokenizer") {
    return error(Code::unsupported, "tokenizer.json: WordPiece in a GGUF needs a BertPreTokenizer, not \"{}\"", type);
  }
  TokenizerData data;
  data.model = "bert";
  data.pre = "bert-bge";  // what llama.cpp calls the pre-tokenizer of BERT's vocabularies
  KL_TRY(read_normalizer(json_member(tokenizer, "normalizer"), data));
  KL_TRY(read_vocab(model, data));
  KL_TRY(add_tokens_of_json(data, tokenizer));
  const std::string_view unknown = json_string(model, "unk_token");
  for (size_t i = 0; i < data.tokens.size() && !unknown.empty(); ++i)
    if (data.tokens[i] == unknown) data.set_special("unknown", static_cast<int64_t>(i));
  return data;
}

Json wordpiece_to_json(const TokenizerData& data) {
  const auto unknown = data.special("unknown");
  return make_tokenizer_json(data,
                             {.normalizer = {{"type", "BertNormalizer"},
                                             {"clean_text", true},
                                             {"handle_chinese_chars", true},
                                             {"strip_accents", data.strip_accents ? Json(*data.strip_accents) : Json()},
                                             {"lowercase", data.lowercase.value_or(true)}},
                              .pre_tokenizer = {{"type", "BertPreTokenizer"}},
                              .post_processor = text_template(data),
                              .decoder = {{"type", "WordPiece"}, {"prefix", kContinues}, {"cleanup", true}},
                              .model = {{"type", "WordPiece"},
                                        {"unk_token", unknown ? data.tokens[*unknown] : "[UNK]"},
                                        {"continuing_subword_prefix", kContinues},
                                        {"max_input_chars_per_word", 100},
                                        {"vocab", vocab_json(data, VocabOf::all)}}});
}

void mark_word_starts(TokenizerData& data) {
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    std::string& text = data.tokens[i];
    if (data.type(i) == TokenType::control) continue;
    if (text.starts_with(kContinues)) text.erase(0, kContinues.size());
    else text.insert(0, kSpaceMark);
  }
}

void mark_continuations(TokenizerData& data) {
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    std::string& text = data.tokens[i];
    if (data.type(i) == TokenType::control) continue;
    if (text.starts_with(kSpaceMark)) text.erase(0, kSpaceMark.size());
    else if (!is_bracketed(text)) text.insert(0, kContinues);
  }
}

}  // namespace kinglet::convert
