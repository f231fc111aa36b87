// Words that `run` and `chat` share: the model, its cache and adapters, and how an answer is made.
#pragma once

#include <string>

#include "cli/command.h"
#include "cli/load_model.h"
#include "cli/sampling_options.h"

namespace kinglet::cli {

struct AnswerWords {
  CommonOptions common;
  ModelWords model;
  SamplingWords sampling;
  std::string template_file, speculate = "ngram";
};

/// Declares them, but for MODEL and the template, which --help lists before a command's own words.
void add_answer_words(Arguments arguments, AnswerWords& words);

}  // namespace kinglet::cli
