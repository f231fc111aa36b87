// Hugging Face's tokenizer.json and tokenizer_config.json.
#include <algorithm>

#include "host/error.h"
#include "tokenizer/byte_bpe.h"
#include "tokenizer/hf_steps.h"
#include "tokenizer/json_access.h"
#include "tokenizer/loaders.h"
#include "tokenizer/piece_bpe.h"
#include "tokenizer/unigram.h"
#include "tokenizer/wordpiece.h"

namespace kinglet {
namespace {

struct Entry {
  std::string_view text;
  float score = 0;
  TokenKind kind = TokenKind::unused;
  bool present = false;
};

/// Ids need not be in order, and some may be missing; far more missing than present is a hostile file.
class EntryTable {
 public:
  explicit EntryTable(size_t count)
      : limit_(static_cast<int64_t>(std::min(2 * count + 65536, Vocabulary::kMaxTokens))) {
    entries_.reserve(std::min(count, Vocabulary::kMaxTokens));
  }

  Status add(const Json& id, std::string_view text, float score, TokenKind kind) {
    const int64_t index = json_index(id, limit_);
    if (index < 0) return error(Code::corrupt, "the token \"{}\" has no usable id", text.substr(0, 60));
    if (index >= static_cast<int64_t>(entries_.size())) entries_.resize(static_cast<size_t>(index) + 1);
    Entry& entry = entries_[static_cast<size_t>(index)];
    if (entry.present && entry.text != text) {
      return error(Code::corrupt, "two tokens have the id {}: \"{}\" and \"{}\"", index, entry.text.substr(0, 60),
                   text.substr(0, 60));
    }
    entry = {text, entry.present ? entry.score : score, kind, true};
    return ok_status();
  }

  Status move_into(Vocabulary& vocabulary) const {
    size_t bytes = 0;
    for (const Entry& entry : entries_) bytes += entry.text.size();
    vocabulary.reserve(entries_.size(), std::min(bytes, Vocabulary::kMaxBytes));
    for (const Entry& entry : entries_) KL_TRY(vocabulary.add(entry.text, entry.score, entry.kind));
    return ok_status();
  }

 private:
  int64_t limit_;
  std::vector<Entry> entries_;
};

/// "vocab" is an object from text to id, or (unigram) a list of [text, score].
Status read_vocab(const Json& vocab, EntryTable& table) {
  if (vocab.is_object()) {
    for (const auto& item : vocab.items()) KL_TRY(table.add(item.value(), item.key(), 0, TokenKind::normal));
    return ok_status();
  }
  if (!vocab.is_array()) return Status(Code::corrupt, "model.vocab is missing");
  int64_t id = 0;
  for (const Json& pair : vocab) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_number()) {
      return error(Code::corrupt, "model.vocab: entry {} is not a text and a score", id);
    }
    KL_TRY(table.add(Json(id++), json_string(pair[0]), pair[1].get<float>(), TokenKind::normal));
  }
  return ok_status();
}

Status read_vocabulary(const Json& root, Vocabulary& vocabulary) {
  const Json& vocab = json_member(json_member(root, "model"), "vocab");
  const Json& added = json_member(root, "added_tokens");
  EntryTable table(vocab.size() + added.size());
  KL_TRY(read_vocab(vocab, table));
  for (const Json& token : added) {
    const TokenKind kind = json_bool(token, "special", false) ? TokenKind::control : TokenKind::user_defined;
    KL_TRY(table.add(json_member(token, "id"), json_string(token, "content"), 0, kind));
  }
  return table.move_into(vocabulary);
}

void match_added_tokens(const Json& root, Tokenizer::Impl& impl) {
  std::vector<SpecialMatcher::Entry> entries;
  for (const Json& token : json_member(root, "added_tokens")) {
    const TokenId id = impl.vocabulary.find(json_string(token, "content"));
    if (id < 0) continue;
    SpecialToken special{.id = id, .control = impl.vocabulary.kind(id) == TokenKind::control};
    special.strip_left = json_bool(token, "lstrip", false);
    special.strip_right = json_bool(token, "rstrip", false);
    special.whole_word = json_bool(token, "single_word", false);
    entries.push_back({impl.vocabulary.text(id), special});
  }
  impl.specials = SpecialMatcher(entries);
}

Result<MergeTable> read_merges(const Json& model, const Vocabulary& vocabulary) {
  const Json& merges = json_member(model, "merges");
  if (!merges.is_array()) return Status(Code::corrupt, "model.merges is missing");
  MergeTable table(vocabulary);
  table.reserve(merges.size());
  for (const Json& merge : merges) {
    if (merge.is_string()) {
      KL_TRY(table.add(json_string(merge)));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      KL_TRY(table.add(json_string(merge[0]), json_string(merge[1])));
    } else {
      return error(Code::corrupt, "model.merges: entry {} is neither a string nor two", table.size());
    }
  }
  return table;
}

TokenId find_or_none(const Vocabulary& vocabulary, const Json& text) {
  return text.is_string() ? vocabulary.find(json_string(text)) : -1;
}

/// Tokens spelled <0xNN> stand for bytes where the model falls back to them.
void mark_byte_tokens(Vocabulary& vocabulary) {
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const bool normal = vocabulary.kind(id) == TokenKind::normal;
    if (normal && byte_of_token_text(vocabulary.text(id))) vocabulary.set_kind(id, TokenKind::byte);
  }
}

Status build_bpe(const Json& model, bool byte_level, Tokenizer::Impl& impl) {
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!json_string(model, key).empty()) return error(Code::unsupported, "tokenizer.json: BPE with a {}", key);
  }
  const bool byte_fallback = json_bool(model, "byte_fallback", false);
  const TokenId unknown = find_or_none(impl.vocabulary, json_member(model, "unk_token"));
  const bool ignore_merges = json_bool(model, "ignore_merges", false);
  if (byte_fallback) mark_byte_tokens(impl.vocabulary);
  impl.spelling = byte_level ? Spelling::byte_level : Spelling::space_mark;
  impl.spell_pieces();
  KL_ASSIGN(MergeTable merges, read_merges(model, impl.vocabulary));
  if (byte_level) {
    impl.model = make_byte_bpe(impl.vocabulary, impl.pieces, std::move(merges),
                               {.ignore_merges = ignore_merges, .unknown = unknown});
    impl.description = "byte-level BPE";
    return ok_status();
  }
  PieceBpeOptions options;
  options.byte_fallback = byte_fallback;
  options.fuse_unknown = json_bool(model, "fuse_unk", false);
  options.ignore_merges = ignore_merges;
  options.unknown = unknown;
  impl.model = make_piece_bpe(impl.vocabulary, std::move(merges), options);
  impl.description = "BPE over characters";
  return ok_status();
}

Status build_unigram(const Json& model, Tokenizer::Impl& impl) {
  UnigramOptions options;
  options.unknown = static_cast<TokenId>(json_index(json_member(model, "unk_id"), impl.vocabulary.size()));
  options.byte_fallback = json_bool(model, "byte_fallback", false);
  if (options.byte_fallback) mark_byte_tokens(impl.vocabulary);
  if (options.unknown >= 0 && impl.vocabulary.kind(options.unknown) == TokenKind::normal) {
    impl.vocabulary.set_kind(options.unknown, TokenKind::unknown);
  }
  impl.spelling = Spelling::space_mark;
  impl.spell_pieces();
  impl.model = make_unigram(impl.vocabulary, options);
  impl.description = "unigram";
  return ok_status();
}

Status build_wordpiece(const Json& model, Tokenizer::Impl& impl) {
  const Json& prefix = json_member(model, "continuing_subword_prefix");
  if (prefix.is_string() && json_string(prefix) != "##") {
    return error(Code::unsupported, "tokenizer.json: WordPiece with the prefix \"{}\"", json_string(prefix));
  }
  WordPieceOptions options;
  options.continue_mark = "##";
  options.unknown = find_or_none(impl.vocabulary, json_member(model, "unk_token"));
  const int64_t longest = json_index(json_member(model, "max_input_chars_per_word"), int64_t{1} << 31);
  options.max_word_chars = longest > 0 ? static_cast<size_t>(longest) : 100;
  impl.spelling = Spelling::hash_mark;
  impl.prefix_space = true;
  impl.spell_pieces();
  impl.model = make_wordpiece(impl.vocabulary, options);
  impl.description = "WordPiece";
  return ok_status();
}

Status build_model(const Json& root, const HfSteps& steps, Tokenizer::Impl& impl) {
  const Json& model = json_member(root, "model");
  const std::string_view type = hf_model_type(model);
  if (type == "BPE") {
    return build_bpe(model, steps.byte_level || hf_has_type(json_member(root, "decoder"), "ByteLevel"), impl);
  }
  if (type == "Unigram") return build_unigram(model, impl);
  if (type == "WordPiece") return build_wordpiece(model, impl);
  return error(Code::unsupported, "tokenizer.json: the model \"{}\" is not known", type);
}

/// The tokens that a post-processor puts around a text become BOS and EOS.
void read_template(const Json& processor, Tokenizer::Impl& impl) {
  bool before = true;
  for (const Json& part : json_member(processor, "single")) {
    if (json_member(part, "Sequence").is_object()) before = false;
    const TokenId id = find_or_none(impl.vocabulary, json_member(json_member(part, "SpecialToken"), "id"));
    if (id < 0) continue;
    (before ? impl.bos : impl.eos) = id;
    (before ? impl.adds_bos : impl.adds_eos) = true;
  }
}

void read_cls_sep(const Json& processor, Tokenizer::Impl& impl) {
  const auto token = [&](std::string_view key, std::optional<TokenId>& id, bool& adds) {
    const Json& pair = json_member(processor, key);
    const TokenId found = pair.is_array() && !pair.empty() ? find_or_none(impl.vocabulary, pair[0]) : -1;
    if (found < 0) return;
    id = found;
    adds = true;
  };
  token("cls", impl.bos, impl.adds_bos);
  token("sep", impl.eos, impl.adds_eos);
}

/// True where the post-processor says what goes around a text.
bool read_post_processor(const Json& json, Tokenizer::Impl& impl) {
  const std::string_view type = json_string(json, "type");
  if (type == "TemplateProcessing") return read_template(json, impl), true;
  if (type == "BertProcessing" || type == "RobertaProcessing") return read_cls_sep(json, impl), true;
  bool said = false;
  if (type == "Sequence") {
    for (const Json& step : json_member(json, "processors")) {
      if (json_string(step, "type") != "Sequence") said = read_post_processor(step, impl) || said;
    }
  }
  return said;
}

Status build(const Json& root, const Json& config, Tokenizer::Impl& impl) {
  KL_TRY(read_vocabulary(root, impl.vocabulary));
  impl.settle_kinds();
  HfSteps steps;
  KL_TRY(add_hf_normalizer(json_member(root, "normalizer"), steps));
  KL_TRY(add_hf_pretokenizer(json_member(root, "pre_tokenizer"), steps));
  KL_TRY(build_model(root, steps, impl));
  impl.normalizers = std::move(steps.normalizers);
  impl.pretokenizers = std::move(steps.pretokenizers);
  impl.prefix_space = impl.prefix_space || steps.prefix_space;
  impl.prefix_each = steps.prefix_each;
  match_added_tokens(root, impl);
  const bool said = read_post_processor(json_member(root, "post_processor"), impl);
  const bool adds_bos = impl.adds_bos, adds_eos = impl.adds_eos;
  apply_tokenizer_config(config, impl);
  if (said) impl.adds_bos = adds_bos, impl.adds_eos = adds_eos;
  impl.find_end_tokens();
  impl.description += fmt::format(", {} tokens", impl.vocabulary.size());
  return ok_status();
}

}  // namespace

LoadedTokenizer load_tokenizer_json(const Json& tokenizer, const Json& config) {
  auto impl = std::make_unique<Tokenizer::Impl>();
  const Status status = build(tokenizer, config, *impl);
  if (!status.ok()) return annotate("tokenizer.json", status);
  return impl;
}

void apply_tokenizer_config(const Json& config, Tokenizer::Impl& impl) {
  const auto token = [&](std::string_view key, std::optional<TokenId>& id) {
    const Json& value = json_member(config, key);  // a string, or an object with its content
    const TokenId found = find_or_none(impl.vocabulary, value.is_object() ? json_member(value, "content") : value);
    if (found >= 0) id = found;
  };
  token("bos_token", impl.bos);
  token("eos_token", impl.eos);
  impl.adds_bos = impl.bos && json_bool(config, "add_bos_token", impl.adds_bos);
  impl.adds_eos = impl.eos && json_bool(config, "add_eos_token", impl.adds_eos);
  const Json& chat = json_member(config, "chat_template");
  if (chat.is_string()) impl.chat_template = json_string(chat);
  for (const Json& named : chat.is_array() ? chat : Json::array()) {  // several by name: "default" is the one for chat
    if (json_string(named, "name") == "default") impl.chat_template = json_string(named, "template");
  }
}

}  // namespace kinglet
