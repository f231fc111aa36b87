// kinglet perplexity: how well a model predicts a text, by llama.cpp's definition.
#include "engine/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/load_model.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "host/progress.h"

namespace kinglet::cli {
namespace {

struct Words {
  CommonOptions common;
  ModelWords model;
  std::string file;
  int64_t chunks = 0;
  bool all_tokens = false;
};

/// What was measured, and of what.
struct Figures {
  Perplexity p;
  int64_t context = 0;
  size_t tokens = 0;
  std::optional<double> bits_per_byte;  ///< where every token was scored
};

void print(const Words& words, const Figures& f) {
  const Perplexity& p = f.p;
  if (words.common.json) {
    Json out = {{"perplexity", p.value()},  {"standard_error", p.standard_error()},
                {"mean_nll", p.mean_nll()}, {"chunks", p.chunks},
                {"context", f.context},     {"scored_tokens", p.tokens},
                {"text_tokens", f.tokens}};
    if (f.bits_per_byte) out["bits_per_byte"] = *f.bits_per_byte;
    fmt::print("{}\n", to_text(out));
    return;
  }
  fmt::print("perplexity {:.4f} +/- {:.4f}\n", p.value(), p.standard_error());
  fmt::print("{} tokens scored in {} chunks of {}; mean negative log likelihood {:.5f}\n", p.tokens, p.chunks,
             f.context, p.mean_nll());
  if (f.bits_per_byte) fmt::print("{:.4f} bits a byte\n", *f.bits_per_byte);
}

Result<Perplexity> measure(Runner& runner, std::span<const TokenId> tokens, std::optional<TokenId> bos,
                           const Words& words, int64_t context) {
  Progress bar("perplexity", 0, Progress::Unit::items);
  const auto show = [&bar](const Perplexity& p, int64_t chunks) {
    bar.set_total(static_cast<uint64_t>(chunks));
    bar.set_label(fmt::format("perplexity {:.4f}", p.value()));
    bar.update(static_cast<uint64_t>(p.chunks));
    return true;
  };
  auto result = perplexity(runner, tokens, bos,
                           {.scored = words.all_tokens ? Scored::every_token : Scored::second_halves,
                            .context = context,
                            .chunks = words.chunks,
                            .progress = show});
  if (!result.ok()) return annotate(words.file, result.status());
  return result;
}

Status run(const Words& words) {
  if (words.all_tokens && words.chunks > 0)
    return Status(Code::invalid_argument,
                  "--all-tokens scores the whole text: leave --chunks out, or give it less text");
  KL_ASSIGN(const std::string text, read_file(words.file));
  KL_ASSIGN(const LoadedModel loaded, load_model(words.model, words.common));
  KL_ASSIGN(const Tokenizer* tokenizer, loaded.model->tokenizer());
  const std::vector<TokenId> tokens = perplexity_tokens(*tokenizer, text);
  KL_ASSIGN(RunnerOptions options, runner_options(words.model, words.common));
  options.batch_tokens = std::min<int64_t>(options.context, 512);
  options.outputs = perplexity_rows(loaded.model->hyper().V);
  KL_ASSIGN(const auto runner, Runner::create(*loaded.model, options));
  const auto bos = tokenizer->adds_bos() ? tokenizer->bos() : std::nullopt;
  Figures figures{.p = {}, .context = options.context, .tokens = tokens.size(), .bits_per_byte = {}};
  KL_ASSIGN(figures.p, measure(*runner, tokens, bos, words, options.context));
  if (words.all_tokens) figures.bits_per_byte = figures.p.bits_per_byte(loaded.model->hyper().V, text.size());
  print(words, figures);
  return ok_status();
}

}  // namespace

Action setup_perplexity(Arguments arguments) {
  auto words = std::make_shared<Words>();
  words->model.context = 512;
  add_common(arguments, words->common);
  add_model(arguments, words->model);
  add_adapters(arguments, words->model);
  arguments.option("FILE", words->file, "the text (UTF-8)").required();
  add_cache(arguments, words->model);
  arguments.find("--ctx").describe("tokens of a chunk, of which the second half is scored (default: 512)");
  arguments.option("--chunks", words->chunks, "score at most so many chunks (0: all)").show_default().range(0, 1 << 30);
  arguments.flag("--all-tokens", words->all_tokens,
                 "score every token, in chunks that overlap by half, and print the bits a byte of the text takes");
  arguments.footer(
      "Examples:\n"
      "  kinglet perplexity gemma-3-270m wiki.test.txt --chunks 10\n"
      "  kinglet perplexity books-7m novel.txt --all-tokens");
  return [words] { return run(*words); };
}

}  // namespace kinglet::cli
