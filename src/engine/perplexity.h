// Perplexity of a text, by the definition of llama.cpp's llama-perplexity, so that figures compare.
//
// The whole text is tokenized at once and cut into chunks of `context` tokens that do not overlap. Each chunk is evaluated on its own;
// where the model's files ask for BOS it takes the place of the chunk's first token. Tokens context / 2 + 1 to context - 1 of a chunk are
// scored: every one of them is seen after at least half a context. What is left after the last whole chunk is not used.
// Scored::every_token is for bits a byte, where no token may be left out: windows that overlap by half a context, each scoring its second
// half (the first one all but the text's first token, the last one what is left).
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/runner.h"

namespace kinglet {

/// Sums over scored tokens; any prefix of the chunks is an estimate.
struct Perplexity {
  int64_t chunks = 0;
  int64_t tokens = 0;  ///< scored
  double sum = 0;      ///< of the negative log likelihoods, in nats
  double squares = 0;  ///< of their squares

  double mean_nll() const { return sum / static_cast<double>(tokens); }
  double value() const;  ///< exp(mean_nll())
  /// Of every_token: what a text of `bytes` takes, its first token at log2 V.
  double bits_per_byte(int64_t vocabulary, size_t bytes) const;
  double standard_error() const;  ///< of value(), to first order: value() times the standard error of the mean
};

enum class Scored : uint8_t { second_halves, every_token };

struct PerplexityOptions {
  Scored scored = Scored::second_halves;
  int64_t context = 512;
  int64_t chunks = 0;  ///< at most so many; 0: all (every_token takes all)
  /// Called after every chunk; answers false to stop (Code::cancelled).
  std::function<bool(const Perplexity& so_far, int64_t chunks)> progress;
};

/// Rows of logits that are computed at a time: with them and batches of the same length, the memory for logits stays small.
int64_t perplexity_rows(int64_t vocabulary);

/// Ids of a text as llama-perplexity reads it from a file: less one newline at the end, BOS before it where the model adds one.
std::vector<TokenId> perplexity_tokens(const Tokenizer& tokenizer, std::string_view text);

/// `runner`'s context must be `options.context` at least. `bos`: put in place of each chunk's first token (not for every_token). Errors:
/// invalid_argument (a context below 4, fewer than two chunks of tokens), out_of_range, cancelled, and the runner's own.
Result<Perplexity> perplexity(Runner& runner, std::span<const TokenId> tokens, std::optional<TokenId> bos,
                              const PerplexityOptions& options);

}  // namespace kinglet
