// The pre-tokenizers that tokenizer.ggml.pre names.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "formats/json_fwd.h"
#include "tokenizer/pretokenizer.h"

namespace kinglet {

struct NamedPreTokenizer {
  PreTokenizers steps;
  bool ignore_merges = false;  ///< a word that is a token needs no merging
  bool adds_bos = false;       ///< where the file does not say
};

/// Errors: unsupported, with the name.
Result<NamedPreTokenizer> make_named_pretokenizer(std::string_view name);

/// The same pre-tokenizer as files describe it: for those that go between GGUF and Hugging Face.
struct PreTokenizerPatterns {
  std::vector<std::string_view> patterns;  ///< each cuts what the one before left
  bool ignore_merges = false;
};
std::optional<PreTokenizerPatterns> patterns_of_pretokenizer(std::string_view name);
/// GGUF's name for the pre_tokenizer of a tokenizer.json, empty where it has none.
std::string name_of_pretokenizer(const Json& pre_tokenizer, bool ignore_merges);

}  // namespace kinglet
