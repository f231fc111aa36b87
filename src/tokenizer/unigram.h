// SentencePiece's unigram model: of all ways to spell a text with tokens, the one whose scores add up to most.
#pragma once

#include <memory>

#include "tokenizer/model.h"

namespace kinglet {

struct UnigramOptions {
  TokenId unknown = -1;        ///< for characters that no token covers; neighbours become one
  bool byte_fallback = false;  ///< spell them by their <0xNN> tokens instead, where all 256 are there
};

/// The vocabulary must outlive the model.
std::unique_ptr<WordModel> make_unigram(const Vocabulary& vocabulary, UnigramOptions options);

}  // namespace kinglet
