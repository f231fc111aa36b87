#include "convert/unigram_json.h"

#include <algorithm>

#include "convert/tokenizer_json.h"
#include "formats/base64.h"
#include "host/error.h"
#include "tokenizer/json_access.h"
#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary.h"

namespace kinglet::convert {
namespace {

// How transformers writes SentencePiece's remove_extra_whitespaces: runs of spaces become one. Those at the end go first, and
// by a pattern, since its Strip takes every kind of white space.
constexpr std::string_view kSpacesAtEnd = " +\\z", kSpaceRuns = " {2,}";

Status cannot(std::string_view what, std::string_view type) {
  return error(Code::unsupported, "tokenizer.json: a unigram tokenizer in a GGUF cannot have the {} \"{}\"", what,
               type);
}

/// `trims` is set where spaces at the end go.
Status read_normalizer(const Json& step, TokenizerData& data, bool& trims) {
  if (step.is_null()) return ok_status();
  const std::string_view type = json_string(step, "type"), pattern = json_string(json_member(step, "pattern"), "Regex");
  if (type == "Precompiled" && data.charsmap.empty()) {
    auto charsmap = decode_base64(json_string(step, "precompiled_charsmap"));
    if (!charsmap) return Status(Code::corrupt, "tokenizer.json: precompiled_charsmap is not base64");
    data.charsmap = *std::move(charsmap);
  } else if (type == "Replace" && pattern == kSpaceRuns) {
    data.remove_extra_whitespaces = true;
  } else if ((type == "Replace" && pattern == kSpacesAtEnd) ||
             (type == "Strip" && !json_bool(step, "strip_left", true))) {
    trims = true;
  } else {
    return cannot("normalizer", type);
  }
  return ok_status();
}

Status read_normalizers(const Json& step, TokenizerData& data) {
  bool trims = false;
  if (json_string(step, "type") != "Sequence") {
    KL_TRY(read_normalizer(step, data, trims));
  } else {
    for (const Json& inner : json_member(step, "normalizers")) KL_TRY(read_normalizer(inner, data, trims));
  }
  return trims && data.remove_extra_whitespaces != true ? cannot("normalizer", "Strip alone") : ok_status();
}

Status read_pretokenizer(const Json& step, TokenizerData& data) {
  const std::string_view type = json_string(step, "type"), scheme = json_string(step, "prepend_scheme");
  if (type == "WhitespaceSplit") {  // words apart by any run of spaces, each with its mark
    data.remove_extra_whitespaces = true;
    return ok_status();
  }
  const Json& mark = json_member(step, "replacement");
  if (type != "Metaspace" || (mark.is_string() && json_string(mark) != kSpaceMark))
    return cannot("pre_tokenizer", type);
  data.add_space_prefix = scheme.empty() ? json_bool(step, "add_prefix_space", true) : scheme != "never";
  return ok_status();
}

Status read_pretokenizers(const Json& step, TokenizerData& data) {
  if (json_string(step, "type") != "Sequence") {
    KL_TRY(read_pretokenizer(step, data));
  } else {
    for (const Json& inner : json_member(step, "pretokenizers")) KL_TRY(read_pretokenizer(inner, data));
  }
  if (!data.add_space_prefix) return cannot("pre_tokenizer", "without Metaspace");
  return ok_status();
}

/// "vocab" as a list of [text, score], in the order of the ids.
Status read_scored_vocab(const Json& model, TokenizerData& data) {
  const Json& vocab = json_member(model, "vocab");
  if (!vocab.is_array() || vocab.size() > static_cast<size_t>(kMaxTokenId))
    return Status(Code::corrupt, "tokenizer.json: model.vocab is no list");
  const bool bytes = json_bool(model, "byte_fallback", false);
  for (const Json& entry : vocab) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
      return error(Code::corrupt, "tokenizer.json: entry {} of model.vocab is not a text and a score",
                   data.tokens.size());
    data.tokens.emplace_back(json_string(entry[0]));
    data.scores.push_back(entry[1].get<float>());
    const std::string& text = data.tokens.back();
    const TokenType type = bytes && byte_of_token_text(text) ? TokenType::byte
                           : is_padding_text(text)           ? TokenType::unused
                                                             : TokenType::normal;
    data.types.push_back(static_cast<int32_t>(type));
  }
  return ok_status();
}

/// Words can be cut at their marks where no token has one inside.
bool crosses_words(const TokenizerData& data) {
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    const size_t last = data.tokens[i].rfind(kSpaceMark);
    if (data.type(i) == TokenType::normal && last != std::string::npos && last > 0) return true;
  }
  return false;
}

Json normalizer_json(const TokenizerData& data) {
  Json steps = Json::array();
  if (!data.charsmap.empty())
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", encode_base64(data.charsmap)}});
  if (data.remove_extra_whitespaces.value_or(false)) {
    for (const auto& [pattern, content] :
         {std::pair(kSpacesAtEnd, std::string_view()), std::pair(kSpaceRuns, kSpaceMark)})
      steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", pattern}}}, {"content", content}});
  }
  if (steps.empty()) return Json();
  return steps.size() == 1 ? steps[0] : Json{{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

Json decoder_json(const Json& metaspace, bool bytes) {
  if (!bytes) return metaspace;
  return Json{{"type", "Sequence"},
              {"decoders", Json::array({Json{{"type", "ByteFallback"}}, metaspace, Json{{"type", "Fuse"}}})}};
}

}  // namespace

Result<TokenizerData> unigram_from_json(const Json& tokenizer) {
  TokenizerData data;
  data.model = "t5";
  data.pre = "default";
  data.remove_extra_whitespaces = false;
  KL_TRY(read_normalizers(json_member(tokenizer, "normalizer"), data));
  KL_TRY(read_pretokenizers(json_member(tokenizer, "pre_tokenizer"), data));
  const Json& model = json_member(tokenizer, "model");
  KL_TRY(read_scored_vocab(model, data));
  const std::vector<float> scores = data.scores;
  KL_TRY(add_tokens_of_json(data, tokenizer));
  std::copy(scores.begin(), scores.end(), data.scores.begin());  // what the vocabulary scores keeps its score
  const int64_t unknown = json_index(json_member(model, "unk_id"), static_cast<int64_t>(scores.size()));
  if (unknown >= 0) data.types[static_cast<size_t>(unknown)] = static_cast<int32_t>(TokenType::unknown);
  data.set_special("unknown", unknown);
  return data;
}

Json unigram_to_json(const TokenizerData& data) {
  size_t count = data.tokens.size();
  while (count > 0 && is_padding(data, count - 1)) --count;
  Json vocab = Json::array();
  bool bytes = false;
  for (size_t i = 0; i < count; ++i) {
    vocab.push_back(Json::array({data.tokens[i], data.scores.empty() ? 0.0f : data.scores[i]}));
    bytes = bytes || data.type(i) == TokenType::byte;
  }
  const bool prefix = data.add_space_prefix.value_or(false) || data.remove_extra_whitespaces.value_or(false);
  const Json metaspace{{"type", "Metaspace"},
                       {"replacement", kSpaceMark},
                       {"prepend_scheme", prefix ? "always" : "never"},
                       {"split", !crosses_words(data)}};
  const auto unknown = data.special("unknown");
  return make_tokenizer_json(data, {.normalizer = normalizer_json(data),
                                    .pre_tokenizer = metaspace,
                                    .post_processor = text_template(data),
                                    .decoder = decoder_json(metaspace, bytes),
                                    .model = {{"type", "Unigram"},
                                              {"unk_id", unknown ? Json(*unknown) : Json()},
                                              {"vocab", std::move(vocab)},
                                              {"byte_fallback", bytes}}});
}

}  // namespace kinglet::convert
