// Pre-tokenizers cut a text into the words that a model sees one at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/function_ref.h"

namespace kinglet {

/// Gets a word; at_start says that it begins the whole text.
using WordSink = FunctionRef<void(std::string_view word, bool at_start)>;

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Hands the words of `text` (not empty) to `sink`, in order. A word need not lie in `text`, and lives until sink
  /// returns.
  virtual void split(std::string_view text, bool at_start, WordSink sink) const = 0;
};

using PreTokenizers = std::vector<std::unique_ptr<PreTokenizer>>;

/// `text` through all of `steps`, each cutting what the one before it left.
void run_pretokenizers(const PreTokenizers& steps, std::string_view text, bool at_start, WordSink sink);

/// What a matched delimiter becomes (the names of Hugging Face's tokenizers).
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Cuts at the matches of a regular expression. A well-known pattern gets a scanner of its own (see scanner.h), others
/// are PCRE2's. `inverted`: what lies between matches are the delimiters. Errors: corrupt, with the reason of PCRE2.
Result<std::unique_ptr<PreTokenizer>> make_regex_split(std::string_view pattern, SplitBehavior behavior, bool inverted);
/// The same by PCRE2 whatever the pattern: the reference that the scanners are tested against.
Result<std::unique_ptr<PreTokenizer>> make_pcre_split(std::string_view pattern, SplitBehavior behavior, bool inverted);
/// Cuts at a plain string.
std::unique_ptr<PreTokenizer> make_string_split(std::string pattern, SplitBehavior behavior, bool inverted);

/// Cuts where a character is of a kind.
enum class CharSplit {
  whitespace,   ///< white space goes
  digits,       ///< each digit alone
  digit_runs,   ///< runs of digits
  punctuation,  ///< each punctuation character alone
  words,        ///< \w+|[^\w\s]+
  bert,         ///< white space goes; each punctuation character alone
};
std::unique_ptr<PreTokenizer> make_char_split(CharSplit kind);

/// SentencePiece's space marks: spaces become `mark`, one is put before the text by `prepend`, words begin at marks.
enum class Prepend { always, first, never };
std::unique_ptr<PreTokenizer> make_metaspace(std::string mark, Prepend prepend, bool split);

/// Puts a space before a text that does not begin with white space (GPT-2's add_prefix_space).
std::unique_ptr<PreTokenizer> make_prefix_space();

}  // namespace kinglet
