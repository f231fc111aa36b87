// A GGUF's tokenizer as the files of a Hugging Face directory: tokenizer.json for byte-level BPE, unigram and WordPiece,
// tokenizer.model (the protobuf of sentencepiece_model.proto) for SentencePiece's BPE.
#include <algorithm>
#include <cstring>

#include "convert/tokenizer_data.h"
#include "convert/tokenizer_json.h"
#include "convert/unigram_json.h"
#include "convert/wordpiece_json.h"
#include "formats/json.h"
#include "host/error.h"
#include "tokenizer/pretokenizer_names.h"

namespace kinglet::convert {
namespace {

/// JSON text; bytes that are no UTF-8 (which no tokenizer.json can hold) are an error rather than replaced.
Result<TextFile> json_file(std::string name, const Json& json) {
  std::string text = json.dump(2, ' ', false, Json::error_handler_t::ignore);
  const auto back = parse_json(text);
  if (!back.ok() || *back != json) return error(Code::unsupported, "{}: tokens that are no UTF-8", name);
  return TextFile{std::move(name), text + "\n"};
}

// -- byte-level BPE --

Result<Json> pre_tokenizer(const TokenizerData& data, bool& ignore_merges) {
  const auto found = patterns_of_pretokenizer(data.pre);
  if (!found) return error(Code::unsupported, "the pre-tokenizer \"{}\" has no form in tokenizer.json", data.pre);
  ignore_merges = found->ignore_merges;
  Json steps = Json::array();
  for (const std::string_view pattern : found->patterns) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", std::string(pattern)}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
  return Json{{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

Result<Json> byte_level_json(const TokenizerData& data) {
  bool ignore_merges = false;
  KL_ASSIGN(Json pre, pre_tokenizer(data, ignore_merges));
  Json around = text_template(data);
  if (around.is_null()) {
    around = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  }
  const bool qwen = data.pre == "qwen2";  // its published tokenizer.json normalizes to NFC
  return make_tokenizer_json(
      data,
      {.normalizer = qwen ? Json{{"type", "NFC"}} : Json(),
       .pre_tokenizer = std::move(pre),
       .post_processor = std::move(around),
       .decoder = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}},
       .model = {{"type", "BPE"},
                 {"dropout", nullptr},
                 {"unk_token", nullptr},
                 {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr},
                 {"fuse_unk", false},
                 {"byte_fallback", false},
                 {"ignore_merges", ignore_merges},
                 {"vocab", vocab_json(data, VocabOf::not_added)},
                 {"merges", data.merges}}});
}

// -- SentencePiece --

/// Writes the fields of one protobuf message.
class Message {
 public:
  void bytes(uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    out_ += value;
  }
  void number(uint32_t field, uint64_t value) {
    varint(field << 3);
    varint(value);
  }
  void real(uint32_t field, float value) {
    varint(field << 3 | 5);
    char raw[sizeof(value)];
    std::memcpy(raw, &value, sizeof(value));
    out_.append(raw, sizeof(raw));
  }
  const std::string& text() const { return out_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
    out_.push_back(static_cast<char>(value));
  }
  std::string out_;
};

std::string sentencepiece_model(const TokenizerData& data) {
  Message model;
  bool bytes = false;
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    Message piece;
    piece.bytes(1, data.tokens[i]);
    piece.real(2, data.scores.empty() ? 0.0f : data.scores[i]);
    piece.number(3, static_cast<uint64_t>(data.type(i)));
    model.bytes(1, piece.text());
    bytes = bytes || data.type(i) == TokenType::byte;
  }
  const auto id = [&data](std::string_view role) {
    const auto found = data.special(role);
    return found ? static_cast<uint64_t>(*found) : ~uint64_t{0};  // -1: none
  };
  Message trainer;
  trainer.number(3, 2);  // BPE
  trainer.number(4, data.tokens.size());
  trainer.number(35, bytes);
  trainer.number(40, id("unknown"));
  trainer.number(41, id("bos"));
  trainer.number(42, id("eos"));
  trainer.number(43, id("padding"));
  Message normalizer;
  normalizer.bytes(1, "identity");
  normalizer.number(3, data.add_space_prefix.value_or(true));
  normalizer.number(4, 0);  // extra spaces stay
  normalizer.number(5, 1);  // spaces become U+2581
  model.bytes(2, trainer.text());
  model.bytes(3, normalizer.text());
  return model.text();
}

// -- beside either --

std::string tokenizer_class(const TokenizerData& data) {
  if (data.model == "llama") return "LlamaTokenizer";
  if (data.model == "bert") return "BertTokenizer";
  if (data.pre == "qwen2") return "Qwen2Tokenizer";
  // llama.cpp's converter knows the Phi models with byte-level BPE by this class.
  return data.pre == "dbrx" || data.pre == "gpt-4o" ? "GPT2Tokenizer" : "PreTrainedTokenizerFast";
}

Result<TextFile> tokenizer_config(const TokenizerData& data) {
  Json decoder = Json::object();
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    if (is_added(data, i)) {
      static_cast<Json::object_t::Container&>(decoder.get_ref<Json::object_t&>())
          .emplace_back(std::to_string(i), added_token(data, i));
    }
  }
  Json config{{"tokenizer_class", tokenizer_class(data)}, {"clean_up_tokenization_spaces", false}};
  for (const auto& [role, value] : data.adds) config[fmt::format("add_{}_token", role)] = value;
  if (data.model == "llama" && data.add_space_prefix) config["add_prefix_space"] = *data.add_space_prefix;
  if (data.model == "bert") {  // else its class goes back to lower case
    config["do_lower_case"] = data.lowercase.value_or(true);
    config["strip_accents"] = data.strip_accents ? Json(*data.strip_accents) : Json();
  }
  for (const Role& role : kRoles) {
    if (const auto id = data.special(role.gguf); id && *id < data.tokens.size()) {
      config[fmt::format("{}_token", role.hf)] = data.tokens[*id];
    }
  }
  if (!data.chat_template.empty()) config["chat_template"] = data.chat_template;
  config["added_tokens_decoder"] = std::move(decoder);
  return json_file("tokenizer_config.json", config);
}

Result<TextFile> generation_config(const TokenizerData& data) {
  Json config = Json::object();
  if (const auto bos = data.special("bos")) config["bos_token_id"] = *bos;
  Json ends = Json::array();
  for (const std::string_view role : {"eos", "eot", "eom"}) {
    const auto id = data.special(role);
    if (id && std::find(ends.begin(), ends.end(), Json(*id)) == ends.end()) ends.push_back(*id);
  }
  if (!ends.empty()) config["eos_token_id"] = ends.size() == 1 ? ends[0] : ends;
  if (const auto pad = data.special("padding")) config["pad_token_id"] = *pad;
  return json_file("generation_config.json", config);
}

/// What the kinds of tokenizer in a GGUF mean where the file does not say (llama-vocab.cpp).
void say_defaults(TokenizerData& data) {
  const auto add = [&](std::string_view role) {
    if (!data.add(role)) data.set_add(role, true);
  };
  if (data.model == "t5") {
    data.set_special("eos", 1);
    data.set_special("unknown", 2);
    add("eos");
  } else if (data.model == "bert") {
    data.set_special("bos", data.special("cls").value_or(101));
    data.set_special("eos", data.special("seperator").value_or(102));
    data.set_special("unknown", 100);
    add("bos");
    add("eos");
  }
}

/// tokenizer.json or tokenizer.model.
Result<TextFile> vocabulary_file(const TokenizerData& data) {
  if (data.model == "llama") return TextFile{"tokenizer.model", sentencepiece_model(data)};
  if (data.model == "t5") return json_file("tokenizer.json", unigram_to_json(data));
  if (data.model == "bert") return json_file("tokenizer.json", wordpiece_to_json(data));
  if (data.model != "gpt2") {
    return error(Code::unsupported, "a tokenizer of kind \"{}\" cannot be written as Hugging Face's files", data.model);
  }
  KL_ASSIGN(const Json json, byte_level_json(data));
  return json_file("tokenizer.json", json);
}

}  // namespace

Result<std::vector<TextFile>> tokenizer_to_hf(TokenizerData data) {
  std::vector<TextFile> files;
  if (data.model == "none") return files;
  if (data.tokens.empty()) return Status(Code::corrupt, "a tokenizer without tokens");
  say_defaults(data);
  if (data.model == "bert") mark_continuations(data);
  KL_ASSIGN(TextFile vocabulary, vocabulary_file(data));
  files.push_back(std::move(vocabulary));
  KL_ASSIGN(TextFile config, tokenizer_config(data));
  files.push_back(std::move(config));
  KL_ASSIGN(TextFile generation, generation_config(data));
  files.push_back(std::move(generation));
  return files;
}

}  // namespace kinglet::convert
