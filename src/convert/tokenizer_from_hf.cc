// What llama.cpp's converter makes of a Hugging Face directory's tokenizer files. Reference: its conversion/base.py and
// gguf-py's vocab.py.
#include <algorithm>
#include <unordered_map>

#include "convert/tokenizer_data.h"
#include "formats/hf_directory.h"
#include "host/error.h"
#include "tokenizer/json_access.h"
#include "tokenizer/loaders.h"
#include "tokenizer/pretokenizer_names.h"
#include "tokenizer/utf8.h"

namespace kinglet::convert {
namespace {

constexpr int64_t kMaxId = int64_t{1} << 24;
constexpr float kAddedScore = -1000.0f;

struct Role {
  std::string_view hf, gguf;
};
constexpr Role kRoles[] = {{"bos", "bos"},     {"eos", "eos"}, {"unk", "unknown"}, {"sep", "seperator"},
                           {"pad", "padding"}, {"cls", "cls"}, {"mask", "mask"}};

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

void ensure(TokenizerData& data, int64_t id) {
  if (static_cast<size_t>(id) < data.tokens.size()) return;
  fit_vocabulary(data, id + 1);
}

/// A token that tokenizer.json or tokenizer_config.json adds.
Status add_token(TokenizerData& data, const Json& id, std::string_view text, bool special) {
  const int64_t index = json_index(id, kMaxId);
  if (index < 0) return error(Code::corrupt, "the added token \"{}\" has no usable id", text.substr(0, 60));
  ensure(data, index);
  const auto i = static_cast<size_t>(index);
  const bool control = special || looks_special(text);
  data.tokens[i] = control ? std::string(text) : with_spaces(text);
  data.types[i] = static_cast<int32_t>(control ? TokenType::control : TokenType::user_defined);
  if (!data.scores.empty()) data.scores[i] = kAddedScore;
  return ok_status();
}

Status add_tokens_of_json(TokenizerData& data, const Json& tokenizer) {
  for (const Json& t : json_member(tokenizer, "added_tokens")) {
    KL_TRY(add_token(data, json_member(t, "id"), json_string(t, "content"), json_bool(t, "special", false)));
  }
  return ok_status();
}

Status add_tokens_of_config(TokenizerData& data, const Json& config) {
  const Json& decoder = json_member(config, "added_tokens_decoder");
  if (!decoder.is_object()) return ok_status();
  for (const auto& [key, t] : decoder.items()) {
    const Json id = Json::accept(key) ? Json::parse(key, nullptr, false) : Json();
    KL_TRY(add_token(data, id, json_string(t, "content"), json_bool(t, "special", false)));
  }
  return ok_status();
}

// -- model.vocab and model.merges of tokenizer.json --

Status read_vocab(const Json& model, TokenizerData& data) {
  const Json& vocab = json_member(model, "vocab");
  if (!vocab.is_object()) return Status(Code::corrupt, "tokenizer.json: model.vocab is no object");
  const int64_t limit = std::min(kMaxId, 2 * static_cast<int64_t>(vocab.size()) + 65536);
  for (const auto& [text, id] : vocab.items()) {
    const int64_t index = json_index(id, limit);
    if (index < 0) return error(Code::corrupt, "tokenizer.json: the token \"{}\" has no usable id", text.substr(0, 60));
    ensure(data, index);
    data.tokens[static_cast<size_t>(index)] = text;
    data.types[static_cast<size_t>(index)] = static_cast<int32_t>(TokenType::normal);
  }
  return ok_status();
}

/// A GGUF parts a merge at its space: a space inside one is written as byte-level BPE writes that byte.
std::string spelled(std::string_view part) {
  std::string out;
  for (const char c : part) {
    if (c == ' ') out += "Ġ";
    else out += c;
  }
  return out;
}

Status read_merges(const Json& model, TokenizerData& data) {
  for (const Json& merge : json_member(model, "merges")) {
    if (merge.is_string()) {
      data.merges.emplace_back(json_string(merge));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      data.merges.push_back(spelled(json_string(merge[0])) + " " + spelled(json_string(merge[1])));
    } else {
      return error(Code::corrupt, "tokenizer.json: merge {} is not a pair", data.merges.size());
    }
  }
  return ok_status();
}

bool mentions_type(const Json& step, std::string_view type) {
  if (json_string(step, "type") == type) return true;
  for (const char* list : {"pretokenizers", "normalizers", "decoders"}) {
    for (const Json& inner : json_member(step, list))
      if (mentions_type(inner, type)) return true;
  }
  return false;
}

Result<TokenizerData> from_byte_level(const Json& tokenizer) {
  TokenizerData data;
  data.model = "gpt2";
  const Json& model = json_member(tokenizer, "model");
  data.pre = name_of_pretokenizer(json_member(tokenizer, "pre_tokenizer"), json_bool(model, "ignore_merges", false));
  if (data.pre.empty()) {
    return Status(Code::unsupported, "tokenizer.json: no GGUF name is known for its pre-tokenizer");
  }
  KL_TRY(read_vocab(model, data));
  KL_TRY(read_merges(model, data));
  KL_TRY(add_tokens_of_json(data, tokenizer));
  return data;
}

/// SentencePiece BPE written as tokenizer.json. It has merges where SentencePiece has scores: earlier merges score higher.
Result<TokenizerData> from_metaspace(const Json& tokenizer) {
  TokenizerData data;
  data.model = "llama";
  data.pre = "default";
  const Json& model = json_member(tokenizer, "model");
  KL_TRY(read_vocab(model, data));
  KL_TRY(read_merges(model, data));
  std::unordered_map<std::string, float> rank;
  for (std::string merged : data.merges) {
    merged.erase(merged.find(' '), 1);
    rank.emplace(std::move(merged), -static_cast<float>(rank.size() + 1));
  }
  const float last = -static_cast<float>(data.merges.size() + 1);
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    const auto it = rank.find(data.tokens[i]);
    data.scores[i] = it == rank.end() ? last : it->second;
    if (byte_of_token_text(data.tokens[i])) data.types[i] = static_cast<int32_t>(TokenType::byte);
    if (data.tokens[i] == json_string(model, "unk_token")) data.types[i] = static_cast<int32_t>(TokenType::unknown);
  }
  data.merges.clear();
  KL_TRY(add_tokens_of_json(data, tokenizer));
  return data;
}

Result<TokenizerData> from_tokenizer_json(const Json& tokenizer) {
  const Json& model = json_member(tokenizer, "model");
  const std::string_view type = json_string(model, "type");
  if (type != "BPE") return error(Code::unsupported, "tokenizer.json: a {} model cannot be converted, only BPE", type);
  return mentions_type(json_member(tokenizer, "pre_tokenizer"), "ByteLevel") ? from_byte_level(tokenizer)
                                                                             : from_metaspace(tokenizer);
}

Result<TokenizerData> from_sentencepiece(const HfDirectory& hf) {
  KL_ASSIGN(const auto impl, load_sentencepiece(hf.sentencepiece));
  TokenizerData data;
  data.model = "llama";
  data.pre = "default";
  const Vocabulary& v = impl->vocabulary;
  for (TokenId id = 0; id < v.size(); ++id) {
    data.tokens.emplace_back(v.text(id));
    data.scores.push_back(v.score(id));
    data.types.push_back(static_cast<int32_t>(v.kind(id)));
  }
  if (!impl->prefix_space) data.add_space_prefix = false;
  KL_TRY(add_tokens_of_config(data, hf.tokenizer_config));
  KL_TRY(add_tokens_of_json(data, hf.tokenizer));
  return data;
}

// -- special tokens --

std::string_view special_text(const Json& config, std::string_view role) {
  const Json& entry = json_member(config, fmt::format("{}_token", role));
  return entry.is_object() ? json_string(entry, "content") : json_string(entry);
}

/// The id of a special token's text: an added one's first, else a token that is not plain text.
int64_t id_of_special(const Json& tokenizer, const TokenizerData& data, std::string_view text) {
  for (const Json& t : json_member(tokenizer, "added_tokens"))
    if (json_string(t, "content") == text) return json_index(json_member(t, "id"), kMaxId);
  for (size_t i = 0; i < data.tokens.size(); ++i)
    if (data.tokens[i] == text && data.types[i] != static_cast<int32_t>(TokenType::normal))
      return static_cast<int64_t>(i);
  return -1;
}

/// A TemplateProcessing step that puts a token before (or after) every text says that BOS (or EOS) is added.
void read_post_processor(const Json& step, const Json& config, TokenizerData& data) {
  for (const Json& inner : json_member(step, "processors")) read_post_processor(inner, config, data);
  const Json& single = json_member(step, "single");
  if (json_string(step, "type") != "TemplateProcessing" || !single.is_array() || single.size() < 2) return;
  const auto special = [](const Json& item) { return json_string(json_member(item, "SpecialToken"), "id"); };
  if (const auto first = special(single.front()); !first.empty()) {
    data.set_add("bos", first == special_text(config, "bos") || first == special_text(config, "cls"));
  }
  if (const auto last = special(single.back()); !last.empty()) data.set_add("eos", last == special_text(config, "eos"));
}

void read_specials(const HfDirectory& hf, TokenizerData& data) {
  read_post_processor(json_member(hf.tokenizer, "post_processor"), hf.tokenizer_config, data);
  for (const Role& role : kRoles) {
    const Json& add = json_member(hf.tokenizer_config, fmt::format("add_{}_token", role.hf));
    if (add.is_boolean()) data.set_add(role.gguf == "seperator" ? "sep" : role.gguf, add.get<bool>());
    if (const auto text = special_text(hf.tokenizer_config, role.hf); !text.empty()) {
      data.set_special(role.gguf, id_of_special(hf.tokenizer, data, text));
    }
  }
  for (const Role& role : kRoles) {
    data.set_special(role.gguf, json_index(json_member(hf.config, fmt::format("{}_token_id", role.hf)), kMaxId));
  }
  const Json& prefix = json_member(hf.tokenizer_config, "add_prefix_space");
  if (prefix.is_boolean() && data.model == "llama" && !data.add_space_prefix)
    data.add_space_prefix = prefix.get<bool>();
  data.chat_template = hf.chat_template;
}

}  // namespace

Result<TokenizerData> tokenizer_from_hf(const HfDirectory& hf, int64_t vocabulary) {
  if (hf.sentencepiece.empty() && hf.tokenizer.is_null()) return TokenizerData{};
  auto data = hf.sentencepiece.empty() ? from_tokenizer_json(hf.tokenizer) : from_sentencepiece(hf);
  if (!data.ok()) return annotate(hf.path, data.status());
  fit_vocabulary(*data, vocabulary);
  read_specials(hf, *data);
  return data;
}

}  // namespace kinglet::convert
