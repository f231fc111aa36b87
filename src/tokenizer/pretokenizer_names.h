// The pre-tokenizers that tokenizer.ggml.pre names.
#pragma once

#include <string_view>

#include "base/status.h"
#include "tokenizer/pretokenizer.h"

namespace kinglet {

struct NamedPreTokenizer {
  PreTokenizers steps;
  bool ignore_merges = false;  ///< a word that is a token needs no merging
  bool adds_bos = false;       ///< where the file does not say
};

/// Errors: unsupported, with the name.
Result<NamedPreTokenizer> make_named_pretokenizer(std::string_view name);

}  // namespace kinglet
