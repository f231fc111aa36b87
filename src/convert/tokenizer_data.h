// A tokenizer as files carry it: what a GGUF says in its tokenizer.* keys. It goes between formats unread; encoding text
// with it is tokenizer/'s business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "formats/checkpoint.h"

namespace kinglet::convert {

/// The numbers of tokenizer.ggml.token_type.
enum class TokenType : int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// A token with a role, by GGUF's name of it: {"bos", 1} is tokenizer.ggml.bos_token_id.
struct SpecialToken {
  std::string role;
  uint32_t id;
};

struct TokenizerData {
  std::string model =
      "none";       ///< "gpt2" (byte-level BPE), "llama" (SentencePiece), "t5" (unigram), "bert" (WordPiece), "none"
  std::string pre;  ///< pre-tokenizer: "llama-bpe", "qwen2", ..., "default"
  std::vector<std::string> tokens;
  std::vector<float> scores;        ///< of "llama" and "t5", one for each token
  std::vector<int32_t> types;       ///< TokenType, one for each token
  std::vector<std::string> merges;  ///< of "gpt2": "left right"
  std::vector<SpecialToken> specials;
  std::vector<std::pair<std::string, bool>> adds;  ///< {"bos", true} is add_bos_token
  std::optional<bool> add_space_prefix;
  std::optional<bool> remove_extra_whitespaces;  ///< of "t5"
  std::string charsmap;                          ///< of "t5": the bytes of precompiled_charsmap; empty: none
  std::optional<bool> lowercase, strip_accents;  ///< of "bert"
  std::optional<uint32_t> token_type_count;      ///< of encoders: how many texts their segments tell apart
  std::string chat_template;                     ///< empty: none

  TokenType type(size_t i) const { return types.empty() ? TokenType::normal : static_cast<TokenType>(types[i]); }

  std::optional<uint32_t> special(std::string_view role) const;
  std::optional<bool> add(std::string_view role) const;
  /// Sets the role's token where it has none yet and the id is a token.
  void set_special(std::string_view role, int64_t id);
  void set_add(std::string_view role, bool value);
};

/// What an id without a token is called: "[PAD7]".
std::string padding_text(size_t id);
/// Any of them: some of llama.cpp's own files are off by one.
bool is_padding_text(std::string_view text);

/// Pads to `vocabulary` tokens with padding_text() as llama.cpp's converter does; tokens beyond it are dropped.
void fit_vocabulary(TokenizerData& data, int64_t vocabulary);

/// The tokenizer.* keys of a GGUF. Errors: corrupt (arrays of the wrong type or of different lengths).
Result<TokenizerData> tokenizer_from_gguf(const gguf::File& file);
void write_tokenizer(const TokenizerData& data, gguf::Writer& file);

/// From tokenizer.json or tokenizer.model and tokenizer_config.json, with what llama.cpp's converter makes of them;
/// "none" where the directory has neither. Errors: corrupt, unsupported (a kind of tokenizer or a pre-tokenizer that GGUF
/// has no name for).
Result<TokenizerData> tokenizer_from_hf(const HfDirectory& hf, int64_t vocabulary);

/// A file of a Hugging Face directory.
struct TextFile {
  std::string name;
  std::string content;
};
/// tokenizer.json or tokenizer.model, tokenizer_config.json, generation_config.json; nothing for "none".
/// Errors: unsupported (a tokenizer that those files cannot carry), corrupt (no tokens).
Result<std::vector<TextFile>> tokenizer_to_hf(TokenizerData data);

}  // namespace kinglet::convert
