// --speculate of `run` and `chat`: who guesses the next tokens.
#pragma once

#include <memory>
#include <string>

#include "cli/load_model.h"
#include "engine/generate.h"

namespace kinglet::cli {

void add_speculate(Arguments arguments, std::string& word);

/// Rows of logits that a runner must be able to give for it: RunnerOptions::outputs.
int64_t speculation_outputs(const std::string& word);

/// What guesses, and what must live as long as it does.
class Speculation {
 public:
  /// `word` is off, ngram or a model's name; sets options.drafter. The smaller model keeps conversations as long as `runner`'s.
  /// Errors: those of load_model(); invalid_argument where its vocabulary is another one.
  static Result<Speculation> create(const std::string& word, const ModelWords& words, const LoadedModel& loaded,
                                    const Runner& runner, GenerateOptions& options);

 private:
  std::unique_ptr<Model> model_;
  std::unique_ptr<Runner> runner_;
};

}  // namespace kinglet::cli
