// Text to token ids and back: byte-level BPE, SentencePiece BPE and unigram with byte fallback, WordPiece.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "formats/checkpoint.h"
#include "formats/json_fwd.h"
#include "tokenizer/token.h"

namespace kinglet {

class Tokenizer {
 public:
  /// From a GGUF's metadata (tensors are not needed), or from a directory's tokenizer.json, tokenizer.model and
  /// tokenizer_config.json. Errors: unsupported (an unknown model or pre-tokenizer, by name), corrupt.
  static Result<Tokenizer> load(const Checkpoint& checkpoint);
  /// tokenizer.ggml.* of a GGUF alone.
  static Result<Tokenizer> from_gguf(const gguf::File& file);
  /// tokenizer.json alone (tokenizer_config may be null), and a SentencePiece model's bytes alone.
  static Result<Tokenizer> from_tokenizer_json(const Json& tokenizer, const Json& tokenizer_config);
  static Result<Tokenizer> from_tokenizer_json(const Json& tokenizer);
  static Result<Tokenizer> from_sentencepiece(std::string_view model_bytes);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Ids of `text` (any bytes; NUL and invalid UTF-8 are encoded byte by byte). No BOS or EOS is added. Bytes that the
  /// vocabulary has no token for become its unknown token, or vanish where it has none. Safe from several threads at
  /// once.
  std::vector<TokenId> encode(std::string_view text, SpecialTokens special = SpecialTokens::as_text) const;

  /// encode(text, parse), but for control tokens whose text lies across one of `seams` (ascending byte offsets): those are
  /// text. A chat template's own special tokens are told from those in the messages this way (tokenizer/chat_format.h).
  std::vector<TokenId> encode(std::string_view text, std::span<const size_t> seams) const;
  /// Byte offsets in `text` at which the text of a control token begins; they may overlap.
  std::vector<size_t> control_places(std::string_view text) const;

  /// Bytes of the tokens joined; special (control) tokens give their text only with `parse`.
  std::string decode(std::span<const TokenId> ids, SpecialTokens special = SpecialTokens::as_text) const;
  /// Bytes of one token in the middle of a text (a SentencePiece space mark is a space).
  std::string piece(TokenId id) const;

  int32_t vocab_size() const;
  std::string_view token_text(TokenId id) const;  ///< as the vocabulary spells it
  bool is_control(TokenId id) const;
  std::optional<TokenId> find(std::string_view token_text) const;

  std::optional<TokenId> bos() const;
  std::optional<TokenId> eos() const;
  bool adds_bos() const;  ///< whether the model's files say to start a prompt with BOS
  bool adds_eos() const;
  /// Every token that ends an answer: eos, eot, eom of a GGUF; the eos list of generation_config.json; and the
  /// well-known end-of-turn texts where they are control tokens (<|eot_id|>, <|im_end|>, <end_of_turn>, <|end|>, ...).
  std::span<const TokenId> end_tokens() const;
  std::string_view chat_template() const;  ///< source text, empty where the model has none
  std::string_view description() const;    ///< e.g. "byte-level BPE, qwen2 pre-tokenizer, 151936 tokens"

  /// decode() one token at a time: appends what `id` adds after what came before. Start with drop_space =
  /// drops_first_space() and hand it back in each time.
  void append_piece(TokenId id, SpecialTokens special, bool& drop_space, std::string& out) const;
  bool drops_first_space() const;  ///< whether encode() puts a space before a text

  struct Impl;

 private:
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::vector<TokenId> encode(std::string_view text, SpecialTokens special, std::span<const size_t> seams) const;
  std::unique_ptr<Impl> impl_;
};

/// Whether streamed tokens are a text of their own or go on with one: the latter keeps its first space.
enum class StreamStart { new_text, mid_text };

/// Joins pieces into whole UTF-8 characters while an answer streams.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, SpecialTokens special = SpecialTokens::as_text,
                         StreamStart start = StreamStart::new_text);
  /// The characters that `id` completes (possibly none), invalid bytes as U+FFFD. The leading space of a SentencePiece
  /// text is dropped as decode() does.
  std::string push(TokenId id);
  std::string flush();  ///< what is left, invalid bytes as U+FFFD; the next push begins a new text

 private:
  const Tokenizer* tokenizer_;
  SpecialTokens special_;
  std::string pending_;
  bool drop_space_;
};

}  // namespace kinglet
