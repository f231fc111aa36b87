// tokenizer.ggml.* of a GGUF file. What the keys mean where a file leaves them out is as in llama.cpp
// (llama-vocab.cpp).
#include <algorithm>
#include <cctype>

#include "host/error.h"
#include "tokenizer/byte_bpe.h"
#include "tokenizer/loaders.h"
#include "tokenizer/piece_bpe.h"
#include "tokenizer/pretokenizer_names.h"
#include "tokenizer/unigram.h"
#include "tokenizer/utf8.h"
#include "tokenizer/wordpiece.h"

namespace kinglet {
namespace {

template <typename T>
const std::vector<T>* array_of(const gguf::File& file, std::string_view key) {
  const gguf::Array* array = file.get_array(key);
  return array == nullptr ? nullptr : std::get_if<std::vector<T>>(&array->items);
}

TokenKind kind_of(int32_t type) { return type >= 1 && type <= 6 ? static_cast<TokenKind>(type) : TokenKind::normal; }

Status read_vocabulary(const gguf::File& file, Vocabulary& vocabulary) {
  const auto* tokens = array_of<std::string>(file, "tokenizer.ggml.tokens");
  if (tokens == nullptr) return Status(Code::corrupt, "tokenizer.ggml.tokens is missing, or no list of strings");
  const auto* scores = array_of<float>(file, "tokenizer.ggml.scores");
  const auto* types = array_of<int32_t>(file, "tokenizer.ggml.token_type");
  if (file.find("tokenizer.ggml.scores") != nullptr && (scores == nullptr || scores->size() < tokens->size())) {
    return Status(Code::corrupt, "tokenizer.ggml.scores is no list of a number for each token");
  }
  if (file.find("tokenizer.ggml.token_type") != nullptr && (types == nullptr || types->size() < tokens->size())) {
    return Status(Code::corrupt, "tokenizer.ggml.token_type is no list of a number for each token");
  }
  size_t bytes = 0;
  for (const std::string& token : *tokens) bytes += token.size();
  vocabulary.reserve(std::min(tokens->size(), Vocabulary::kMaxTokens), std::min(bytes, Vocabulary::kMaxBytes));
  for (size_t i = 0; i < tokens->size(); ++i) {
    KL_TRY(vocabulary.add((*tokens)[i], scores == nullptr ? 0 : (*scores)[i],
                          types == nullptr ? TokenKind::normal : kind_of((*types)[i])));
  }
  return ok_status();
}

/// A token id of the metadata; what is not one of the vocabulary's is as good as absent.
std::optional<TokenId> token_id(const gguf::File& file, const Vocabulary& vocabulary, std::string_view key,
                                std::optional<TokenId> fallback = std::nullopt) {
  const auto id = file.get_int(key);
  if (id && *id >= 0 && *id < vocabulary.size()) return static_cast<TokenId>(*id);
  return fallback && vocabulary.contains(*fallback) ? fallback : std::nullopt;
}

bool flag(const gguf::File& file, std::string_view key, bool fallback) { return file.get_bool(key).value_or(fallback); }

struct Defaults {
  std::optional<TokenId> bos, eos, unknown;
  bool adds_bos = false, adds_eos = false;
};

Result<MergeTable> read_merges(const gguf::File& file, const Vocabulary& vocabulary) {
  const auto* merges = array_of<std::string>(file, "tokenizer.ggml.merges");
  if (merges == nullptr) return Status(Code::corrupt, "tokenizer.ggml.merges is missing, or no list of strings");
  MergeTable table(vocabulary);
  table.reserve(merges->size());
  for (const std::string& merge : *merges) KL_TRY(table.add(merge));
  return table;
}

Status build_byte_bpe(const gguf::File& file, Tokenizer::Impl& impl, Defaults& defaults) {
  const std::string_view name = file.get_string("tokenizer.ggml.pre").value_or("default");
  KL_ASSIGN(NamedPreTokenizer named, make_named_pretokenizer(name));
  KL_ASSIGN(MergeTable merges, read_merges(file, impl.vocabulary));
  defaults.adds_bos = named.adds_bos;
  impl.spelling = Spelling::byte_level;
  impl.spell_pieces();
  impl.pretokenizers = std::move(named.steps);
  ByteBpeOptions options;
  options.ignore_merges = named.ignore_merges;
  options.unknown = token_id(file, impl.vocabulary, "tokenizer.ggml.unknown_token_id").value_or(-1);
  impl.model = make_byte_bpe(impl.vocabulary, impl.pieces, std::move(merges), options);
  impl.description = fmt::format("byte-level BPE, {} pre-tokenizer", name);
  return ok_status();
}

/// BPE over characters with spaces as U+2581: "llama" by scores, "gemma4" by a list of merges.
Status build_piece_bpe(const gguf::File& file, Tokenizer::Impl& impl, Defaults& defaults, bool by_list) {
  std::optional<MergeTable> merges;
  if (by_list) {
    KL_ASSIGN(merges, read_merges(file, impl.vocabulary));
  } else {
    defaults = {.bos = 1, .eos = 2, .unknown = 0};
  }
  defaults.adds_bos = true;
  impl.spelling = Spelling::space_mark;
  impl.spell_pieces();
  impl.prefix_space = impl.prefix_each = flag(file, "tokenizer.ggml.add_space_prefix", !by_list);
  impl.normalizers.push_back(make_space_escape(impl.prefix_space));
  PieceBpeOptions options;
  options.unknown = token_id(file, impl.vocabulary, "tokenizer.ggml.unknown_token_id", defaults.unknown).value_or(-1);
  impl.model = make_piece_bpe(impl.vocabulary, std::move(merges), options);
  impl.description = by_list ? "BPE over characters" : "SentencePiece BPE";
  return ok_status();
}

Result<std::string> read_charsmap(const gguf::File& file) {
  constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";
  if (file.find(kKey) == nullptr) return std::string();
  if (const auto* bytes = array_of<uint8_t>(file, kKey)) return std::string(bytes->begin(), bytes->end());
  if (const auto* bytes = array_of<int8_t>(file, kKey)) return std::string(bytes->begin(), bytes->end());
  return Status(Code::corrupt, "tokenizer.ggml.precompiled_charsmap is no list of bytes");
}

Status build_unigram(const gguf::File& file, Tokenizer::Impl& impl, Defaults& defaults) {
  defaults = {.eos = 1, .unknown = 2, .adds_eos = true};
  impl.spelling = Spelling::space_mark;
  impl.spell_pieces();
  SentencePieceNormalizerOptions normalizer;
  KL_ASSIGN(normalizer.charsmap, read_charsmap(file));
  normalizer.add_prefix = flag(file, "tokenizer.ggml.add_space_prefix", false);
  normalizer.remove_extra_spaces = flag(file, "tokenizer.ggml.remove_extra_whitespaces", false);
  // llama.cpp writes a mark before the first word too wherever it merges spaces, and the fixtures follow it.
  normalizer.add_prefix = normalizer.add_prefix || normalizer.remove_extra_spaces;
  impl.prefix_space = impl.prefix_each = normalizer.add_prefix;
  for (TokenId id = 0; id < impl.vocabulary.size(); ++id) {
    if (impl.vocabulary.kind(id) == TokenKind::user_defined) normalizer.keep.emplace_back(impl.vocabulary.text(id));
  }
  KL_ASSIGN(auto step, make_sentencepiece_normalizer(std::move(normalizer)));
  impl.normalizers.push_back(std::move(step));
  UnigramOptions options;
  options.unknown = token_id(file, impl.vocabulary, "tokenizer.ggml.unknown_token_id", defaults.unknown).value_or(-1);
  options.byte_fallback = true;
  impl.model = make_unigram(impl.vocabulary, options);
  impl.description = "SentencePiece unigram";
  return ok_status();
}

Status build_wordpiece(const gguf::File& file, Tokenizer::Impl& impl, Defaults& defaults) {
  defaults = {.bos = 101, .eos = 102, .unknown = 100, .adds_bos = true, .adds_eos = true};
  impl.spelling = Spelling::word_mark;
  impl.spell_pieces();
  impl.prefix_space = true;
  BertNormalizerOptions normalizer;
  normalizer.lowercase = flag(file, "tokenizer.ggml.normalizer.lowercase", true);
  normalizer.strip_accents = flag(file, "tokenizer.ggml.normalizer.strip_accents", normalizer.lowercase);
  normalizer.llama_cpp_accents = true;
  impl.normalizers.push_back(make_bert_normalizer(normalizer));
  impl.pretokenizers.push_back(make_char_split(CharSplit::bert));
  WordPieceOptions options;
  options.start_mark = kSpaceMark;
  options.unknown = token_id(file, impl.vocabulary, "tokenizer.ggml.unknown_token_id", defaults.unknown).value_or(-1);
  impl.model = make_wordpiece(impl.vocabulary, options);
  impl.description = "WordPiece";
  return ok_status();
}

/// Which added tokens eat white space is not in the file: llama.cpp knows it by the model's name, and so do we.
void match_specials_by_name(const gguf::File& file, Tokenizer::Impl& impl) {
  std::string name(file.get_string("general.name").value_or(""));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string_view arch = file.get_string("general.architecture").value_or("");
  const bool phi3 = name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
  const bool mask_strips = arch == "nomic-bert-moe" || arch == "jina-bert-v3";
  std::vector<SpecialMatcher::Entry> entries;
  for (TokenId id = 0; id < impl.vocabulary.size(); ++id) {
    const TokenKind kind = impl.vocabulary.kind(id);
    const bool control = kind == TokenKind::control || kind == TokenKind::unknown;
    if (!control && kind != TokenKind::user_defined) continue;
    std::string_view text = impl.vocabulary.text(id);
    // Converters to GGUF mark every token of WordPiece but control tokens; what a text holds has no mark.
    const bool marked = impl.spelling == Spelling::word_mark && kind == TokenKind::user_defined;
    if (marked && text.starts_with(kSpaceMark)) text.remove_prefix(kSpaceMark.size());
    SpecialToken token{.id = id, .control = control};
    token.strip_right = phi3 && text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
    token.strip_left = mask_strips && text == "<mask>";
    entries.push_back({text, token});
  }
  impl.specials = SpecialMatcher(entries);
}

void read_ends(const gguf::File& file, const Defaults& defaults, Tokenizer::Impl& impl) {
  const Vocabulary& vocabulary = impl.vocabulary;
  impl.bos = token_id(file, vocabulary, "tokenizer.ggml.bos_token_id", defaults.bos);
  impl.eos = token_id(file, vocabulary, "tokenizer.ggml.eos_token_id", defaults.eos);
  impl.adds_bos = impl.bos && flag(file, "tokenizer.ggml.add_bos_token", defaults.adds_bos);
  impl.adds_eos = impl.eos && flag(file, "tokenizer.ggml.add_eos_token", defaults.adds_eos);
  impl.add_end_token(token_id(file, vocabulary, "tokenizer.ggml.eot_token_id"));
  impl.add_end_token(token_id(file, vocabulary, "tokenizer.ggml.eom_token_id"));
  impl.find_end_tokens();
}

}  // namespace

LoadedTokenizer load_gguf_tokenizer(const gguf::File& file) {
  const auto model = file.get_string("tokenizer.ggml.model");
  if (!model) return Status(Code::corrupt, "the file has no tokenizer (tokenizer.ggml.model is missing)");
  auto impl = std::make_unique<Tokenizer::Impl>();
  KL_TRY(read_vocabulary(file, impl->vocabulary));
  impl->settle_kinds();
  Defaults defaults;
  if (*model == "gpt2") {
    KL_TRY(build_byte_bpe(file, *impl, defaults));
  } else if (*model == "llama") {
    KL_TRY(build_piece_bpe(file, *impl, defaults, false));
  } else if (*model == "gemma4") {
    KL_TRY(build_piece_bpe(file, *impl, defaults, true));
  } else if (*model == "t5") {
    KL_TRY(build_unigram(file, *impl, defaults));
  } else if (*model == "bert") {
    KL_TRY(build_wordpiece(file, *impl, defaults));
  } else {
    return error(Code::unsupported, "the tokenizer model \"{}\" (tokenizer.ggml.model) is not known", *model);
  }
  match_specials_by_name(file, *impl);
  read_ends(file, defaults, *impl);
  if (const auto text = file.get_string("tokenizer.chat_template")) impl->chat_template = *text;
  impl->description += fmt::format(", {} tokens", impl->vocabulary.size());
  return impl;
}

}  // namespace kinglet
