#include "cli/answer_words.h"

#include "cli/speculate_option.h"

namespace kinglet::cli {

void add_answer_words(Arguments arguments, AnswerWords& words) {
  add_common(arguments, words.common);
  add_cache(arguments, words.model);
  add_adapters(arguments, words.model);
  add_speculate(arguments, words.speculate);
  add_sampling(arguments, words.sampling);
}

}  // namespace kinglet::cli
