// What llama.cpp's converter makes of a Hugging Face directory's tokenizer files. Reference: its conversion/base.py and
// gguf-py's vocab.py.
#include <algorithm>
#include <unordered_map>

#include "convert/tokenizer_data.h"
#include "convert/tokenizer_json.h"
#include "convert/unigram_json.h"
#include "convert/wordpiece_json.h"
#include "formats/hf_directory.h"
#include "host/error.h"
#include "tokenizer/hf_steps.h"
#include "tokenizer/json_access.h"
#include "tokenizer/loaders.h"
#include "tokenizer/pretokenizer_names.h"

namespace kinglet::convert {
namespace {

// -- BPE in tokenizer.json --

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
  const std::string_view type = hf_model_type(json_member(tokenizer, "model"));
  if (type == "Unigram") return unigram_from_json(tokenizer);
  if (type == "WordPiece") return wordpiece_from_json(tokenizer);
  if (type != "BPE") return error(Code::unsupported, "tokenizer.json: a {} model cannot be converted", type);
  return hf_has_type(json_member(tokenizer, "pre_tokenizer"), "ByteLevel") ? from_byte_level(tokenizer)
                                                                           : from_metaspace(tokenizer);
}

Result<TokenizerData> from_sentencepiece(const HfDirectory& hf) {
  KL_ASSIGN(const SentencePieceSpec spec, read_sentencepiece_spec(hf.sentencepiece));
  KL_ASSIGN(const auto impl, load_sentencepiece(hf.sentencepiece));
  TokenizerData data;
  const bool unigram = spec.model_type == 1;
  data.model = unigram ? "t5" : "llama";
  data.pre = "default";
  const Vocabulary& v = impl->vocabulary;
  for (TokenId id = 0; id < v.size(); ++id) {
    data.tokens.emplace_back(v.text(id));
    data.scores.push_back(v.score(id));
    data.types.push_back(static_cast<int32_t>(v.kind(id)));
  }
  if (unigram) {
    data.add_space_prefix = spec.normalizer.add_prefix;
    data.remove_extra_whitespaces = spec.normalizer.remove_extra_spaces;
    data.charsmap = spec.normalizer.charsmap;
    data.set_special("unknown", spec.unknown);
  } else if (!impl->prefix_space) {
    data.add_space_prefix = false;
  }
  KL_TRY(add_tokens_of_config(data, hf.tokenizer_config));
  KL_TRY(add_tokens_of_json(data, hf.tokenizer));
  return data;
}

/// tokenizer.model says all that a tokenizer.json made from it says, but for unigrams whose ids transformers moved.
bool reads_sentencepiece(const HfDirectory& hf) {
  return !hf.sentencepiece.empty() && hf_model_type(json_member(hf.tokenizer, "model")) != "Unigram";
}

// -- special tokens --

std::string_view special_text(const Json& config, std::string_view role) {
  const Json& entry = json_member(config, fmt::format("{}_token", role));
  return entry.is_object() ? json_string(entry, "content") : json_string(entry);
}

/// The id of a special token's text: an added one's first, else a token that is not plain text.
int64_t id_of_special(const Json& tokenizer, const TokenizerData& data, std::string_view text) {
  if (text.empty()) return -1;
  for (const Json& t : json_member(tokenizer, "added_tokens"))
    if (json_string(t, "content") == text) return json_index(json_member(t, "id"), kMaxTokenId);
  for (size_t i = 0; i < data.tokens.size(); ++i)
    if (data.tokens[i] == text && data.types[i] != static_cast<int32_t>(TokenType::normal))
      return static_cast<int64_t>(i);
  return -1;
}

/// The texts of the tokens that go around every text, from tokenizer_config.json (BERT's files call them [CLS] and [SEP]),
/// or where it is absent from the post-processor.
struct Ends {
  std::string_view bos, eos, sep;
  bool said = false;  ///< there is a tokenizer_config.json

  void set(std::string_view Ends::*end, std::string_view text) {
    if (!said && (this->*end).empty()) this->*end = text;
  }
};

Ends ends_of_config(const Json& config) {
  Ends ends{special_text(config, "bos"), special_text(config, "eos"), special_text(config, "sep"), config.is_object()};
  if (ends.bos.empty()) ends.bos = special_text(config, "cls");
  if (ends.eos.empty()) ends.eos = ends.sep;
  return ends;
}

std::string_view special_of(const Json& item) { return json_string(json_member(item, "SpecialToken"), "id"); }

/// Whether two texts have a token between them beside the one that ends each: what "pair" has between its two sequences.
void read_pair(const Json& pair, const Ends& ends, TokenizerData& data) {
  std::vector<std::string_view> between;
  int sequences = 0;
  for (const Json& item : pair) {
    if (json_member(item, "Sequence").is_object()) ++sequences;
    else if (sequences == 1) between.push_back(special_of(item));
  }
  if (sequences != 2 || between.empty()) return;
  const auto separates = [&](std::string_view text) { return !text.empty() && (text == ends.sep || text == ends.eos); };
  const bool ends_first = data.add("eos").value_or(false);
  data.set_add("sep", separates(between.back()) && (between.size() == 2 || !ends_first));
}

/// A TemplateProcessing step that puts a token before (or after) every text says that BOS (or EOS) is added.
void read_post_processor(const Json& step, Ends& ends, TokenizerData& data) {
  for (const Json& inner : json_member(step, "processors")) read_post_processor(inner, ends, data);
  const std::string_view type = json_string(step, "type");
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    const auto text = [&](const char* key) {
      const Json& token = json_member(step, key);
      return token.is_array() && !token.empty() ? json_string(token[0]) : std::string_view();
    };
    ends.set(&Ends::bos, text("cls"));
    ends.set(&Ends::eos, text("sep"));
    data.set_add("bos", true);
    data.set_add("eos", true);
    data.set_add("sep", type == "RobertaProcessing");  // BERT has one token between two texts, RoBERTa two
  }
  const Json& single = json_member(step, "single");
  if (type != "TemplateProcessing" || !single.is_array() || single.size() < 2) return;
  if (const auto first = special_of(single.front()); !first.empty()) {
    ends.set(&Ends::bos, first);
    data.set_add("bos", first == ends.bos);
  }
  if (const auto last = special_of(single.back()); !last.empty()) {
    ends.set(&Ends::eos, last);
    data.set_add("eos", last == ends.eos);
  }
  read_pair(json_member(step, "pair"), ends, data);
}

void read_specials(const HfDirectory& hf, TokenizerData& data) {
  Ends ends = ends_of_config(hf.tokenizer_config);
  read_post_processor(json_member(hf.tokenizer, "post_processor"), ends, data);
  for (const Role& role : kRoles) {
    const Json& add = json_member(hf.tokenizer_config, fmt::format("add_{}_token", role.hf));
    if (add.is_boolean()) data.set_add(role.gguf == "seperator" ? "sep" : role.gguf, add.get<bool>());
    if (const auto text = special_text(hf.tokenizer_config, role.hf); !text.empty()) {
      data.set_special(role.gguf, id_of_special(hf.tokenizer, data, text));
    }
  }
  if (!hf.tokenizer.is_null()) {
    data.set_special("bos", id_of_special(hf.tokenizer, data, ends.bos));
    data.set_special("eos", id_of_special(hf.tokenizer, data, ends.eos));
  }
  for (const Role& role : kRoles) {
    data.set_special(role.gguf, json_index(json_member(hf.config, fmt::format("{}_token_id", role.hf)), kMaxTokenId));
  }
  const Json& prefix = json_member(hf.tokenizer_config, "add_prefix_space");
  if (prefix.is_boolean() && data.model == "llama" && !data.add_space_prefix)
    data.add_space_prefix = prefix.get<bool>();
  data.chat_template = hf.chat_template;
}

/// What a GGUF's unigram and WordPiece tokenizers would add around a text unless they are told otherwise.
void say_what_is_added(TokenizerData& data) {
  for (const std::string_view role : {"bos", "eos"})
    if (!data.add(role)) data.set_add(role, false);
}

/// Encoders say how many texts they tell apart; WordPiece is theirs.
void read_token_types(const Json& config, TokenizerData& data) {
  const int64_t count = json_index(json_member(config, "type_vocab_size"), kMaxTokenId);
  if (count > 0) data.token_type_count = static_cast<uint32_t>(count);
  else if (data.model == "bert") data.token_type_count = 1;
}

}  // namespace

Result<TokenizerData> tokenizer_from_hf(const HfDirectory& hf, int64_t vocabulary) {
  if (hf.sentencepiece.empty() && hf.tokenizer.is_null()) return TokenizerData{};
  const bool sentencepiece = reads_sentencepiece(hf);
  auto data = sentencepiece ? from_sentencepiece(hf) : from_tokenizer_json(hf.tokenizer);
  if (!data.ok()) return annotate(hf.path, data.status());
  fit_vocabulary(*data, vocabulary);
  read_specials(hf, *data);
  if (!sentencepiece && (data->model == "t5" || data->model == "bert")) say_what_is_added(*data);
  if (data->model == "bert") mark_word_starts(*data);
  read_token_types(hf.config, *data);
  return data;
}

}  // namespace kinglet::convert
