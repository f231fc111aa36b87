// What the pre-tokenizers and normalizers ask about a character. The tables are utf8proc's.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace kinglet {

/// Classes of characters as the patterns of pre-tokenizers see them, one bit each.
enum CharClass : uint8_t {
  kOtherChar = 1,       ///< none of the below: punctuation, symbols, controls, invalid bytes
  kUpperLetter = 2,     ///< Lu Lt
  kLowerLetter = 4,     ///< Ll
  kCaselessLetter = 8,  ///< Lm Lo
  kMark = 16,           ///< Mn Mc Me
  kNumber = 32,         ///< Nd Nl No
  kNewline = 64,        ///< \r \n
  kSpace = 128,         ///< White_Space but \r \n
};
inline constexpr uint8_t kLetter = kUpperLetter | kLowerLetter | kCaselessLetter;
inline constexpr uint8_t kAnySpace = kNewline | kSpace;

extern const std::array<uint8_t, 128> kAsciiClass;
uint8_t wide_char_class(char32_t code);  ///< of a character past ASCII
inline uint8_t char_class(char32_t code) { return code < 128 ? kAsciiClass[code] : wide_char_class(code); }

bool is_white_space(char32_t code);       ///< White_Space
bool is_punctuation(char32_t code);       ///< category P
bool is_bert_punctuation(char32_t code);  ///< category P and the ASCII symbols, as BERT's tokenizer has it
bool is_nonspacing_mark(char32_t code);   ///< Mn
bool is_control_char(char32_t code);      ///< Cc Cf Cs Co (not Cn: what a newer Unicode names is not a control here)
bool is_word_char(char32_t code);         ///< \w: letters, marks, decimal digits, connector punctuation
char32_t simple_lower(char32_t code);

enum class NormalForm : uint8_t { nfc, nfd, nfkc, nfkd };
/// `text` in a Unicode normal form; invalid bytes stay as they are and part what is around them.
std::string normalize_unicode(std::string_view text, NormalForm form);
/// True only where `text` is in the form for sure (a quick check; false says nothing).
bool surely_normalized(std::string_view text, NormalForm form);

}  // namespace kinglet
