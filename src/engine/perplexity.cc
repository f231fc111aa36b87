#include "engine/perplexity.h"

#include <algorithm>
#include <cmath>

#include "engine/score.h"
#include "host/error.h"

namespace kinglet {
namespace {

class Scorer {
 public:
  Scorer(Runner& runner, int64_t context) : runner_(runner) {
    rows_ = std::min(perplexity_rows(runner.model().hyper().V), runner.plan().options.max_outputs);
    long_rope_ = context > runner.model().original_context();
  }

  /// Evaluates one chunk from an empty cache and adds what the rows from `first_scored` on predict. The chunk's last token is only
  /// predicted.
  Status add(std::span<const TokenId> chunk, int64_t first_scored, Perplexity& into) {
    KvSequence kv = runner_.new_sequence();
    const int64_t last = static_cast<int64_t>(chunk.size()) - 1;
    nll_.assign(static_cast<size_t>(last - first_scored), 0.0);
    for (int64_t done = 0; done < last;) {
      const bool scored = done >= first_scored;
      const int64_t end = scored ? last : first_scored;
      const int64_t count = std::min(end - done, scored ? rows_ : runner_.batch_tokens());
      const BatchPart part{&kv, chunk.subspan(static_cast<size_t>(done), static_cast<size_t>(count)),
                           scored ? Outputs::all : Outputs::none, long_rope_};
      KL_TRY(runner_.run({&part, 1}));
      if (scored) score(chunk, done, count, nll_.data() + (done - first_scored));
      done += count;
    }
    for (double nll : nll_) {  // one order of summation, whatever the number of threads
      into.sum += nll;
      into.squares += nll * nll;
    }
    into.tokens += static_cast<int64_t>(nll_.size());
    ++into.chunks;
    return ok_status();
  }

 private:
  void score(std::span<const TokenId> chunk, int64_t position, int64_t count, double* out) const {
    runner_.parallel().for_each(count, [&](int64_t i, int) {
      out[i] = -log_probability(runner_.logits(i), chunk[static_cast<size_t>(position + i + 1)]);
    });
  }

  Runner& runner_;
  int64_t rows_ = 1;
  bool long_rope_ = false;
  std::vector<double> nll_;
};

/// Scored::every_token.
Result<Perplexity> score_every_token(Scorer& scorer, std::span<const TokenId> tokens,
                                     const PerplexityOptions& options) {
  const int64_t context = options.context, half = context / 2, count = static_cast<int64_t>(tokens.size());
  if (count < 2) return error(Code::invalid_argument, "the text has {} tokens; 2 are needed", count);
  const int64_t windows = 1 + std::max<int64_t>(0, (count - context + half - 1) / half);
  Perplexity out;
  for (int64_t i = 0; i < windows; ++i) {
    const int64_t begin = i * half, size = std::min(context, count - begin);
    // The window before this one ended with a prediction of token begin + context - half - 1.
    const int64_t first = i == 0 ? 0 : context - half - 1;
    KL_TRY(scorer.add(tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(size)), first, out));
    if (options.progress && !options.progress(out, windows))
      return error(Code::cancelled, "stopped after {} of {} windows", i + 1, windows);
  }
  return out;
}

}  // namespace

double Perplexity::bits_per_byte(int64_t vocabulary, size_t bytes) const {
  return (sum / std::log(2.0) + std::log2(static_cast<double>(vocabulary))) / static_cast<double>(bytes);
}

double Perplexity::value() const { return std::exp(mean_nll()); }

double Perplexity::standard_error() const {
  const auto n = static_cast<double>(tokens);
  const double variance = squares / n - mean_nll() * mean_nll();
  return tokens > 1 && variance > 0 ? std::sqrt(variance / (n - 1)) * value() : 0.0;
}

int64_t perplexity_rows(int64_t vocabulary) {
  constexpr int64_t kFloats = int64_t{1} << 24;  // 64 MB
  return std::clamp<int64_t>(kFloats / vocabulary, 1, 256);
}

std::vector<TokenId> perplexity_tokens(const Tokenizer& tokenizer, std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::vector<TokenId> ids = tokenizer.encode(text);
  if (tokenizer.adds_bos() && tokenizer.bos()) ids.insert(ids.begin(), *tokenizer.bos());
  return ids;
}

Result<Perplexity> perplexity(Runner& runner, std::span<const TokenId> tokens, std::optional<TokenId> bos,
                              const PerplexityOptions& options) {
  const int64_t context = options.context, count = static_cast<int64_t>(tokens.size());
  if (context < 4) return error(Code::invalid_argument, "a context of {} tokens is too short to score", context);
  if (context > runner.context())
    return error(Code::out_of_range, "chunks of {} tokens do not fit into the context of {}", context,
                 runner.context());
  Scorer scorer(runner, context);
  if (options.scored == Scored::every_token) return score_every_token(scorer, tokens, options);
  if (count / context < 2)
    return error(Code::invalid_argument, "the text has {} tokens; chunks of {} need {} at least", count, context,
                 2 * context);
  const int64_t all = count / context, chunks = options.chunks > 0 ? std::min(options.chunks, all) : all;
  Perplexity out;
  for (int64_t i = 0; i < chunks; ++i) {
    const auto part = tokens.subspan(static_cast<size_t>(i * context), static_cast<size_t>(context));
    std::vector<TokenId> chunk(part.begin(), part.end());
    if (bos) chunk.front() = *bos;
    KL_TRY(scorer.add(chunk, context / 2, out));
    if (options.progress && !options.progress(out, chunks))
      return error(Code::cancelled, "stopped after {} of {} chunks", i + 1, chunks);
  }
  return out;
}

}  // namespace kinglet
