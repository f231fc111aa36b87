// BPE over characters: SentencePiece's (a pair merges where the two spell a token, the best score first) and Hugging
// Face's with a list of merges (what SentencePiece models become in tokenizer.json). Characters that no token covers
// become bytes, else the unknown token.
#pragma once

#include <memory>
#include <optional>

#include "tokenizer/merge_table.h"
#include "tokenizer/model.h"

namespace kinglet {

struct PieceBpeOptions {
  bool byte_fallback = true;   ///< characters outside the vocabulary become their <0xNN> tokens
  bool fuse_unknown = true;    ///< neighbouring unknown characters become one unknown token
  bool ignore_merges = false;  ///< a whole word that is a token is that token
  TokenId unknown = -1;        ///< -1: what cannot be spelled vanishes
};

/// The vocabulary must outlive the model. Without `merges` the scores say what merges first.
std::unique_ptr<WordModel> make_piece_bpe(const Vocabulary& vocabulary, std::optional<MergeTable> merges,
                                          PieceBpeOptions options);

}  // namespace kinglet
