#include "cli/answer_words.h"

namespace kinglet::cli {

void add_answer_words(Arguments arguments, AnswerWords& words) {
  add_common(arguments, words.common);
  add_cache(arguments, words.model);
  add_adapters(arguments, words.model);
  add_speculate(arguments, words.speculate);
  add_sampling(arguments, words.sampling);
}

Result<Answerer> open_answerer(const AnswerWords& words) {
  Answerer out;
  KL_ASSIGN(out.options, generate_options(words.sampling));
  KL_ASSIGN(out.loaded, load_model(words.model, words.common));
  KL_ASSIGN(out.tokenizer, out.loaded.model->tokenizer());
  KL_TRY(add_constraint(words.sampling, *out.tokenizer, out.options));
  KL_ASSIGN(RunnerOptions options, runner_options(words.model, words.common));
  options.outputs = speculation_outputs(words.speculate);
  KL_ASSIGN(out.runner, Runner::create(*out.loaded.model, options));
  KL_ASSIGN(out.speculation, Speculation::create(words.speculate, words.model, out.loaded, *out.runner, out.options));
  return out;
}

}  // namespace kinglet::cli
