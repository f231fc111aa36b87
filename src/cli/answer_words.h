// What `run` and `chat` share: words for the model, its cache and adapters and for how an answer is made, and all of it opened.
#pragma once

#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/load_model.h"
#include "cli/sampling_options.h"
#include "cli/speculate_option.h"

namespace kinglet::cli {

struct AnswerWords {
  CommonOptions common;
  ModelWords model;
  SamplingWords sampling;
  std::string template_file, speculate = "ngram";
};

/// Declares them, but for MODEL and the template, which --help lists before a command's own words.
void add_answer_words(Arguments arguments, AnswerWords& words);

/// A model that is ready to answer. A Session on its runner is the caller's.
struct Answerer {
  GenerateOptions options;
  LoadedModel loaded;
  const Tokenizer* tokenizer = nullptr;
  std::unique_ptr<Runner> runner;
  Speculation speculation;
};
/// Errors: those of load_model(), add_constraint() and Speculation::create().
Result<Answerer> open_answerer(const AnswerWords& words);

}  // namespace kinglet::cli
