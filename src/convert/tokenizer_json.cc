#include "convert/tokenizer_json.h"

#include <algorithm>

#include "host/error.h"
#include "tokenizer/json_access.h"
#include "tokenizer/utf8.h"

namespace kinglet::convert {
namespace {

constexpr float kAddedScore = -1000.0f;

/// Some models call tokens "added" that are control tokens by every other sign.
bool looks_special(std::string_view text) {
  for (const std::string_view known : {"<pad>", "<mask>", "<2mass>", "[@BOS@]"})
    if (text == known) return true;
  return (text.starts_with("<|") && text.ends_with("|>")) || (text.starts_with("<｜") && text.ends_with("｜>")) ||
         (text.starts_with("<unused") && text.ends_with(">"));
}

std::string with_spaces(std::string_view text) {
  std::string out(text);
  for (size_t at = out.find(kSpaceMark); at != std::string::npos; at = out.find(kSpaceMark, at + 1)) {
    out.replace(at, kSpaceMark.size(), " ");
  }
  return out;
}

/// Some ids may have no token; far more of them than of the others is a hostile file.
int64_t most_ids(size_t tokens) { return std::min(kMaxTokenId, 2 * static_cast<int64_t>(tokens) + 65536); }

void ensure(TokenizerData& data, int64_t id) {
  if (static_cast<size_t>(id) >= data.tokens.size()) fit_vocabulary(data, id + 1);
}

Status add_token(TokenizerData& data, const Json& id, const Json& token, int64_t limit) {
  const std::string_view text = json_string(token, "content");
  const int64_t index = json_index(id, limit);
  if (index < 0) return error(Code::corrupt, "the added token \"{}\" has no usable id", text.substr(0, 60));
  ensure(data, index);
  const auto i = static_cast<size_t>(index);
  const bool control = json_bool(token, "special", false) || looks_special(text);
  data.tokens[i] = control ? std::string(text) : with_spaces(text);
  data.types[i] = static_cast<int32_t>(control ? TokenType::control : TokenType::user_defined);
  if (!data.scores.empty()) data.scores[i] = kAddedScore;
  return ok_status();
}

/// Puts a member behind the others: the object's own insert looks through all of them first.
void append_member(Json& object, std::string key, Json value) {
  static_cast<Json::object_t::Container&>(object.get_ref<Json::object_t&>())
      .emplace_back(std::move(key), std::move(value));
}

}  // namespace

Status read_vocab(const Json& model, TokenizerData& data) {
  const Json& vocab = json_member(model, "vocab");
  if (!vocab.is_object()) return Status(Code::corrupt, "tokenizer.json: model.vocab is no object");
  const int64_t limit = most_ids(vocab.size());
  for (const auto& [text, id] : vocab.items()) {
    const int64_t index = json_index(id, limit);
    if (index < 0) return error(Code::corrupt, "tokenizer.json: the token \"{}\" has no usable id", text.substr(0, 60));
    ensure(data, index);
    data.tokens[static_cast<size_t>(index)] = text;
    data.types[static_cast<size_t>(index)] = static_cast<int32_t>(TokenType::normal);
  }
  return ok_status();
}

Status add_tokens_of_json(TokenizerData& data, const Json& tokenizer) {
  const Json& added = json_member(tokenizer, "added_tokens");
  const int64_t limit = most_ids(data.tokens.size() + added.size());
  for (const Json& t : added) KL_TRY(add_token(data, json_member(t, "id"), t, limit));
  return ok_status();
}

Status add_tokens_of_config(TokenizerData& data, const Json& config) {
  const Json& decoder = json_member(config, "added_tokens_decoder");
  if (!decoder.is_object()) return ok_status();
  const int64_t limit = most_ids(data.tokens.size() + decoder.size());
  for (const auto& [key, t] : decoder.items()) {
    const Json id = Json::accept(key) ? Json::parse(key, nullptr, false) : Json();
    KL_TRY(add_token(data, id, t, limit));
  }
  return ok_status();
}

bool is_added(const TokenizerData& data, size_t i) {
  return data.type(i) == TokenType::control || data.type(i) == TokenType::user_defined;
}

bool is_padding(const TokenizerData& data, size_t i) {
  return data.type(i) == TokenType::unused && is_padding_text(data.tokens[i]);
}

Json added_token(const TokenizerData& data, size_t i) {
  return Json{{"content", data.tokens[i]}, {"single_word", false}, {"lstrip", false},
              {"rstrip", false},           {"normalized", false},  {"special", data.type(i) == TokenType::control}};
}

Json vocab_json(const TokenizerData& data, VocabOf which) {
  Json vocab = Json::object();
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    const bool left_out = is_padding(data, i) || (which == VocabOf::not_added && is_added(data, i));
    if (!left_out) append_member(vocab, data.tokens[i], i);
  }
  return vocab;
}

Json text_template(const TokenizerData& data) {
  const auto if_added = [&](std::string_view role) {
    return data.add(role).value_or(false) ? data.special(role) : std::nullopt;
  };
  const auto bos = if_added("bos"), eos = if_added("eos");
  if (!bos && !eos) return Json();
  Json specials = Json::object();
  const auto token = [&](uint32_t id, int segment) {
    const std::string& text = data.tokens[id];
    specials[text] = {{"id", text}, {"ids", Json::array({id})}, {"tokens", Json::array({text})}};
    return Json{{"SpecialToken", {{"id", text}, {"type_id", segment}}}};
  };
  const auto sequence = [](const char* id, int segment) {
    return Json{{"Sequence", {{"id", id}, {"type_id", segment}}}};
  };
  Json single = Json::array();
  if (bos) single.push_back(token(*bos, 0));
  single.push_back(sequence("A", 0));
  if (eos) single.push_back(token(*eos, 0));
  Json pair = single;
  const int second = data.model == "bert" ? 1 : 0;  // BERT tells the two texts apart
  const auto separator = data.special("seperator") ? data.special("seperator") : eos;
  if (data.add("sep").value_or(false) && separator) pair.push_back(token(*separator, 0));
  pair.push_back(sequence("B", second));
  if (eos) pair.push_back(token(*eos, second));
  return Json{{"type", "TemplateProcessing"},
              {"single", std::move(single)},
              {"pair", std::move(pair)},
              {"special_tokens", std::move(specials)}};
}

Json make_tokenizer_json(const TokenizerData& data, TokenizerSteps steps) {
  Json added = Json::array();
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    if (!is_added(data, i)) continue;
    Json token{{"id", i}};
    token.update(added_token(data, i));
    added.push_back(std::move(token));
  }
  return Json{{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", std::move(added)},
              {"normalizer", std::move(steps.normalizer)},
              {"pre_tokenizer", std::move(steps.pre_tokenizer)},
              {"post_processor", std::move(steps.post_processor)},
              {"decoder", std::move(steps.decoder)},
              {"model", std::move(steps.model)}};
}

}  // namespace kinglet::convert
