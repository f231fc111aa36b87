// Learns the merges of a byte-level BPE from text: the most frequent pair of neighbours becomes a token, again and again.
// Sources: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"; byte-level as in GPT-2.
// Vocabulary, order and ties are those of Hugging Face's tokenizers, whose trainer gives the same files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "tokenizer/pretokenizer.h"

namespace kinglet {

/// How often each word occurs. A word is what the pre-tokenizer leaves whole: no token crosses its borders.
class WordCounts {
 public:
  /// `steps` must outlive it.
  explicit WordCounts(const PreTokenizers& steps) : steps_(&steps) {}
  void add(std::string_view text);
  size_t words() const { return counts_.size(); }
  uint64_t bytes() const { return bytes_; }  ///< of all texts

  template <typename F>
  void for_each(F&& f) const {
    for (const auto& [word, count] : counts_) f(std::string_view(word), count);
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const;
  };
  const PreTokenizers* steps_;
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> counts_;
  uint64_t bytes_ = 0;
};

struct BpeTrainOptions {
  int32_t vocabulary = 0;            ///< tokens in all: special ones, 256 bytes, merges
  int64_t min_count = 2;             ///< a pair that occurs less often becomes no token
  std::vector<std::string> special;  ///< tokens of their own, with the first ids
  /// Called now and then with the tokens so far; false stops (Code::cancelled).
  std::function<bool(int32_t tokens)> progress;
};

struct TrainedBpe {
  std::vector<std::string> tokens;  ///< special ones as they are, others in GPT-2's characters for bytes
  std::vector<std::string> merges;  ///< "left right", in order
  int64_t training_tokens = 0;      ///< what the words came to in the end, each as often as it occurs
};

/// The same words give the same result, in whatever order they were counted. There are fewer tokens than asked for where
/// no pair is left that occurs min_count times. Errors: invalid_argument (a vocabulary below the special tokens and 256,
/// special tokens that are empty or repeated), resource_exhausted (too much text), cancelled.
Result<TrainedBpe> train_bpe(const WordCounts& words, const BpeTrainOptions& options);

}  // namespace kinglet
