// What turns one word (a piece of text that no token crosses) into ids. One implementation for each algorithm:
// byte_bpe, piece_bpe, unigram, wordpiece.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/vocabulary.h"
#include "tokenizer/word_cache.h"

namespace kinglet {

/// A run of text that merges have made one symbol.
struct MergeSymbol {
  uint32_t begin = 0;  ///< bytes into the word
  uint32_t size = 0;   ///< bytes; 0 once it has gone into its left neighbour
  int32_t id = -1;
  int32_t prev = -1, next = -1;
};

struct MergeCandidate {
  uint64_t order;  ///< rank, then place: the least is merged first
  uint32_t size;   ///< bytes of the pair when it was seen; another size now means it is stale
  int32_t id;      ///< what the pair becomes
};

/// Best way to a place in the text, for the unigram model.
struct PathNode {
  double score;
  int32_t id;
  uint32_t begin;
};

/// What one encode() call works with; kept between calls so that warm caches and buffers serve the next.
struct EncodeScratch {
  WordCache cache;
  std::vector<MergeSymbol> symbols;
  std::vector<MergeCandidate> heap;
  std::vector<PathNode> path;
  std::vector<TokenId> ids;
  std::string text;
};

class WordModel {
 public:
  virtual ~WordModel() = default;
  /// Appends the ids of `word` (any bytes, not empty).
  virtual void encode(std::string_view word, EncodeScratch& scratch, std::vector<TokenId>& out) const = 0;
};

}  // namespace kinglet
