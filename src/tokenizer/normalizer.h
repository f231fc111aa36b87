// Normalizers change a text before it is cut into words.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/unicode.h"

namespace kinglet {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// False where `text` stays as it is, so that nothing is copied; else the new text is in `out` (empty before the
  /// call).
  virtual bool apply(std::string_view text, std::string& out) const = 0;
};

using Normalizers = std::vector<std::unique_ptr<Normalizer>>;

/// `text` through all of them; the result lies in `text` or in `buffer`.
std::string_view run_normalizers(const Normalizers& steps, std::string_view text, std::string& buffer);

std::unique_ptr<Normalizer> make_unicode_normalizer(NormalForm form);
std::unique_ptr<Normalizer> make_lowercase();
std::unique_ptr<Normalizer> make_strip_accents();               ///< drops nonspacing marks (expects a decomposed text)
std::unique_ptr<Normalizer> make_strip(bool left, bool right);  ///< white space at the ends
std::unique_ptr<Normalizer> make_replace(std::string pattern, std::string content);
Result<std::unique_ptr<Normalizer>> make_regex_replace(std::string_view pattern, std::string content);
std::unique_ptr<Normalizer> make_prepend(std::string prefix);  ///< before a text that is not empty
std::unique_ptr<Normalizer> make_nmt();  ///< SentencePiece's nmt rules: drops controls, maps spaces
/// What a SentencePiece model does to spaces in a GGUF: one before the text if `prefix`, and U+2581 for each.
std::unique_ptr<Normalizer> make_space_escape(bool prefix);

struct BertNormalizerOptions {
  bool clean_text = true;     ///< controls go, white space becomes a space
  bool chinese_chars = true;  ///< spaces around ideographs
  bool strip_accents = true;
  bool lowercase = true;
  /// Accents as llama.cpp's tables have them, for GGUF: only the first character of each decomposition stays (a Hangul
  /// syllable leaves its first consonant, where Hugging Face keeps all three), and every mark goes (the vowel signs of
  /// Devanagari too, where Hugging Face drops nonspacing ones alone).
  bool llama_cpp_accents = false;
};
std::unique_ptr<Normalizer> make_bert_normalizer(const BertNormalizerOptions& options);

struct SentencePieceNormalizerOptions {
  std::string charsmap;             ///< precompiled_charsmap: checked by make_sentencepiece_normalizer
  bool add_prefix = true;           ///< a space mark before the text
  bool remove_extra_spaces = true;  ///< runs of spaces become one, those at the ends go
  bool escape_spaces = true;        ///< spaces become U+2581
  std::vector<std::string> keep;    ///< texts that stay as they are (user-defined tokens)
};
/// SentencePiece's own normalizer. Errors (corrupt): a charsmap that is no double array.
Result<std::unique_ptr<Normalizer>> make_sentencepiece_normalizer(SentencePieceNormalizerOptions options);
/// The charsmap alone (Hugging Face's Precompiled).
Result<std::unique_ptr<Normalizer>> make_charsmap_normalizer(std::string charsmap);

}  // namespace kinglet
