// WordPiece (BERT) between tokenizer.json and GGUF. The first marks what continues a word (##x), the second what begins
// one (▁x). Reference: llama.cpp's conversion/bert.py.
#pragma once

#include "convert/tokenizer_data.h"
#include "formats/json_fwd.h"

namespace kinglet::convert {

/// The vocabulary as tokenizer.json spells it, for mark_word_starts() once it is complete. Errors: corrupt; unsupported (steps
/// that BERT's tokenizer in a GGUF does not have).
Result<TokenizerData> wordpiece_from_json(const Json& tokenizer);
Json wordpiece_to_json(const TokenizerData& data);

/// From tokenizer.json's spelling to GGUF's: x becomes ▁x, ##x becomes x, control tokens stay.
void mark_word_starts(TokenizerData& data);
/// And back.
void mark_continuations(TokenizerData& data);

}  // namespace kinglet::convert
