// Byte-level BPE (GPT-2 and its many descendants): symbols start as bytes.
#pragma once

#include <memory>

#include "tokenizer/merge_table.h"
#include "tokenizer/model.h"

namespace kinglet {

struct ByteBpeOptions {
  bool ignore_merges = false;  ///< a word that is a token needs no merging (Llama 3)
  TokenId unknown = -1;        ///< for bytes that have no token; -1: they vanish, as in Hugging Face's tokenizers
};

/// `pieces` are the bytes that each token spells (see pieces.h). Both must outlive the model.
std::unique_ptr<WordModel> make_byte_bpe(const Vocabulary& vocabulary, const TextTable& pieces, MergeTable merges,
                                         ByteBpeOptions options);

}  // namespace kinglet
