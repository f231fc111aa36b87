// Words of `run` and `chat` that say how tokens are chosen and when an answer ends.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "engine/generate.h"

namespace kinglet::cli {

struct SamplingWords {
  SamplingOptions sampling;         ///< starts at the library's defaults
  std::vector<std::string> biases;  ///< --logit-bias ID=VALUE
  std::optional<uint64_t> seed;     ///< absent: a new one each time
  int64_t max_tokens = 0;
  std::vector<std::string> stops;
  std::string json_schema;  ///< a schema, or a file that holds one
  std::string regex;
  std::string grammar;  ///< a GBNF file
};

void add_sampling(Arguments arguments, SamplingWords& words);

/// What the words say, with a seed from the system's source of random numbers where none was given. Errors:
/// invalid_argument for a bias that is no ID=VALUE.
Result<GenerateOptions> generate_options(const SamplingWords& words);

/// Holds answers to the form that the words ask for, if any. Errors: those of the form's reader.
Status add_constraint(const SamplingWords& words, const Tokenizer& tokenizer, GenerateOptions& options);

}  // namespace kinglet::cli
