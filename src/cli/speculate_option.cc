#include "cli/speculate_option.h"

#include "engine/draft_model.h"
#include "engine/speculation.h"
#include "host/error.h"

namespace kinglet::cli {

void add_speculate(Arguments arguments, std::string& word) {
  arguments
      .option("--speculate", word,
              "guess tokens and check several at once, the same answer sooner: ngram, off, or a smaller MODEL")
      .show_default();
}

int64_t speculation_outputs(const std::string& word) { return word == "off" ? 1 : SpeculationPace::kMostGuessed + 1; }

Result<Speculation> Speculation::create(const std::string& word, const ModelWords& words, const LoadedModel& loaded,
                                        const Runner& runner, GenerateOptions& options) {
  Speculation out;
  if (word == "off") return out;
  if (word == "ngram") {
    options.drafter = [] { return std::make_unique<NgramDrafter>(); };
    return out;
  }
  KL_ASSIGN(out.model_, load_beside(word, words, loaded));
  KL_ASSIGN(const Tokenizer* const large, loaded.model->tokenizer());
  KL_ASSIGN(const Tokenizer* const small, out.model_->tokenizer());
  if (const Status same = check_same_vocabulary(*large, *small); !same.ok()) return annotate(word, same);
  KL_ASSIGN(out.runner_, Runner::create(*out.model_, {.threads = runner.threads(),
                                                      .context = runner.context(),
                                                      .few_tokens = runner.plan().options.few_tokens}));
  options.drafter = [small_runner = out.runner_.get(), sampling = options.sampling]() -> std::unique_ptr<Drafter> {
    auto drafter = ModelDrafter::create(*small_runner, sampling);
    return drafter.ok() ? *std::move(drafter) : nullptr;  // generate() has refused such options before
  };
  return out;
}

}  // namespace kinglet::cli
