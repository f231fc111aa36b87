#include "cli/sampling_options.h"

#include <charconv>
#include <limits>
#include <random>

#include "formats/json.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/regex.h"
#include "host/error.h"
#include "host/file.h"

namespace kinglet::cli {
namespace {

constexpr char kGroup[] = "Choosing tokens";

Status add_bias(const std::string& word, std::map<TokenId, float>& out) {
  const size_t sign = word.find('=');
  TokenId id = -1;
  float value = 0;
  const char* const begin = word.data();
  const char* const end = begin + word.size();
  bool good = sign != std::string::npos && std::from_chars(begin, begin + sign, id).ptr == begin + sign && sign > 0;
  if (good) {
    const auto number = std::from_chars(begin + sign + 1, end, value);
    good = number.ec == std::errc() && number.ptr == end;
  }
  if (!good) return error(Code::invalid_argument, "--logit-bias takes ID=VALUE, e.g. 198=-inf, not '{}'", word);
  out[id] = value;
  return ok_status();
}

constexpr uint64_t kLongestForm = uint64_t{16} << 20;

Result<grammar::Grammar> grammar_of_schema(const std::string& word) {
  std::string text = word;
  const size_t first = word.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || (word[first] != '{' && word != "true")) {
    KL_ASSIGN(text, read_file(word, kLongestForm));
  }
  const auto schema = parse_json(text);
  if (!schema.ok()) return annotate("--json-schema", schema.status());
  return grammar::compile_json_schema(*schema);
}

Result<grammar::Grammar> grammar_of(const SamplingWords& words) {
  if (!words.json_schema.empty()) return grammar_of_schema(words.json_schema);
  if (!words.regex.empty()) return grammar::compile_regex(words.regex);
  KL_ASSIGN(const std::string source, read_file(words.grammar, kLongestForm));
  return grammar::parse_gbnf(source);
}

}  // namespace

void add_sampling(Arguments arguments, SamplingWords& words) {
  SamplingOptions& s = words.sampling;
  const auto add = [&](const char* flag, auto& value, const char* text) {
    arguments.option(flag, value, text).group(kGroup).show_default();
  };
  add("-n,--max-tokens", words.max_tokens,
      "most tokens of an answer; 0: until the model ends it or the context is full");
  arguments.option("--stop", words.stops, "end the answer at this text, which is left out (may be given again)")
      .group(kGroup)
      .repeated();
  add("--temperature,--temp", s.temperature, "0: always the likeliest token; higher: more varied");
  add("--top-k", s.top_k, "choose among the k likeliest; 0: all");
  add("--top-p", s.top_p, "choose among the likeliest that hold this probability together; 1: all");
  add("--min-p", s.min_p, "leave out what has less than this share of the likeliest one's probability; 0: nothing");
  add("--typical", s.typical_p, "locally typical sampling: keep this much probability; 1: all");
  add("--repetition-penalty", s.repetition_penalty, "more than 1: fewer repetitions");
  add("--presence-penalty", s.presence_penalty, "taken off the logit of tokens that were there");
  add("--frequency-penalty", s.frequency_penalty, "taken off for each time a token was there");
  add("--penalty-window", s.penalty_window, "last tokens that penalties look at; 0: none; -1: all");
  arguments.option("--logit-bias", words.biases, "ID=VALUE: add to a token's logit; -inf bans it (may be given again)")
      .group(kGroup)
      .repeated();
  arguments
      .option("-s,--seed", words.seed, "the same seed and prompt give the same answer (default: a new one each time)")
      .group(kGroup);
  constexpr char kFormGroup[] = "Holding the answer to a form";
  Option schema = arguments.option("--json-schema", words.json_schema,
                                   "JSON that satisfies this schema: a file, or the schema itself ({...})");
  Option regex = arguments.option("--regex", words.regex, "a text that matches this regular expression as a whole");
  Option grammar = arguments.option("--grammar", words.grammar, "a text of the grammar in this GBNF file");
  schema.group(kFormGroup).excludes(regex).excludes(grammar);
  regex.group(kFormGroup).excludes(grammar);
  grammar.group(kFormGroup);
}

Status add_constraint(const SamplingWords& words, const Tokenizer& tokenizer, GenerateOptions& options) {
  if (words.json_schema.empty() && words.regex.empty() && words.grammar.empty()) return ok_status();
  KL_ASSIGN(grammar::Grammar grammar, grammar_of(words));
  options.constraint = std::make_shared<const Constraint>(
      Constraint{std::make_shared<grammar::Automaton>(std::move(grammar), text_tokens(tokenizer))});
  return ok_status();
}

Result<GenerateOptions> generate_options(const SamplingWords& words) {
  GenerateOptions options{.sampling = words.sampling, .max_tokens = words.max_tokens, .stops = words.stops};
  for (const std::string& word : words.biases) KL_TRY(add_bias(word, options.sampling.logit_bias));
  if (words.seed) {
    options.sampling.seed = *words.seed;
  } else {
    std::random_device random;
    options.sampling.seed = random();  // 32 bits are enough to differ, and short to write down
  }
  return options;
}

}  // namespace kinglet::cli
