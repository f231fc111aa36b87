// WordPiece (BERT): a word is spelled by the longest token that begins it, then the longest that goes on from there.
#pragma once

#include <memory>
#include <string_view>

#include "tokenizer/model.h"

namespace kinglet {

struct WordPieceOptions {
  std::string_view
      start_mark;  ///< what begins a word in the vocabulary's spelling: "" in Hugging Face's, U+2581 in GGUF
  std::string_view continue_mark;  ///< what goes before a token that continues one: "##", or "" in GGUF
  TokenId unknown = -1;            ///< for a word that cannot be spelled; -1: it vanishes
  size_t max_word_chars = 0;       ///< longer words are unknown; 0: no limit
};

/// The vocabulary must outlive the model.
std::unique_ptr<WordModel> make_wordpiece(const Vocabulary& vocabulary, WordPieceOptions options);

}  // namespace kinglet
