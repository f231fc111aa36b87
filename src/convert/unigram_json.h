// SentencePiece's unigram model between tokenizer.json and GGUF (which calls it "t5"). Reference: llama.cpp's
// conversion/t5.py and, for a tokenizer.json, conversion/bert.py.
#pragma once

#include "convert/tokenizer_data.h"
#include "formats/json_fwd.h"

namespace kinglet::convert {

/// Errors: corrupt; unsupported (steps that a GGUF's unigram tokenizer does not have).
Result<TokenizerData> unigram_from_json(const Json& tokenizer);
Json unigram_to_json(const TokenizerData& data);

}  // namespace kinglet::convert
