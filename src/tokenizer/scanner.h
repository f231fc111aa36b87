// The patterns of well-known byte-level models as hand-written scanners: an order of magnitude faster than the regular
// expressions they stand for, which the tests hold beside them.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "tokenizer/pretokenizer.h"

namespace kinglet {

struct ScannerPattern {
  enum class Family {
    gpt2,    ///< 's|'t|... ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    llama3,  ///< (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    gpt4o,   ///< words by case: [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|...)?|...
  };
  Family family = Family::gpt2;
  int max_digits = 0;           ///< digits in one word (llama3, gpt4o); gpt2 has no limit
  bool contractions = true;     ///< 's and its like are words, or end them (gpt4o)
  bool marks_in_words = false;  ///< \p{M} beside \p{L} (Qwen 3.5)
};

/// The scanner's pattern for a regular expression as tokenizer.json spells it, where there is one.
std::optional<ScannerPattern> find_scanner(std::string_view regex);
std::unique_ptr<PreTokenizer> make_scanner(const ScannerPattern& pattern);

}  // namespace kinglet
