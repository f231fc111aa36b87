// The parts of a Tokenizer, as the loaders put them together.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/model.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/special_matcher.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace kinglet {

/// How the texts of tokens spell what they stand for.
enum class Spelling {
  byte_level,  ///< GPT-2's printable characters for bytes
  space_mark,  ///< U+2581 for a space, <0xNN> for a byte
  word_mark,   ///< WordPiece in GGUF: U+2581 begins a word
  hash_mark,   ///< WordPiece in Hugging Face's files: ## continues one
};

/// Working memory for encode(): each call takes one and gives it back, so that threads share a tokenizer and each keeps
/// a warm word cache.
class ScratchPool {
 public:
  std::unique_ptr<EncodeScratch> take();
  void give(std::unique_ptr<EncodeScratch> scratch);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncodeScratch>> free_;
};

struct Tokenizer::Impl {
  Vocabulary vocabulary;
  TextTable pieces;  ///< what each token adds to a text
  Spelling spelling = Spelling::byte_level;

  SpecialMatcher specials;
  Normalizers normalizers;
  PreTokenizers pretokenizers;
  std::unique_ptr<WordModel> model;

  /// encode() puts a space before a text that begins or (prefix_each) follows a special token; decode() takes it off
  /// again.
  bool prefix_space = false;
  bool prefix_each = false;

  std::optional<TokenId> bos, eos;
  bool adds_bos = false, adds_eos = false;
  std::vector<TokenId> end_tokens;
  std::string chat_template;
  std::string description;

  mutable ScratchPool scratch;

  /// Appends what `id` adds to a text. `drop_space` says that a space at its start is the one that encode() put there.
  void append_piece(TokenId id, SpecialTokens special, bool& drop_space, std::string& out) const;

  // Steps of every loader, in this order.
  void settle_kinds();     ///< end-of-turn tokens that a file calls user-defined are control tokens
  void spell_pieces();     ///< fills pieces
  void match_specials();   ///< fills specials by the kinds alone
  void find_end_tokens();  ///< adds eos and the well-known ends to end_tokens; sorts them
  void add_end_token(std::optional<TokenId> id);
};

}  // namespace kinglet
