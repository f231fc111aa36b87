#include "cli/sample_text.h"

#include "tokenizer/chat_format.h"
#include "engine/generate.h"

namespace kinglet::cli {

Result<std::string> sample_text(const std::string& folder, const std::string& prompt,
                                const SampleTextOptions& options) {
  Ledger ledger;
  KL_ASSIGN(const auto model, Model::load(folder, {}, ledger));
  KL_ASSIGN(const Tokenizer* const tokenizer, model->tokenizer());
  const std::vector<TokenId> ids = plain_prompt(*tokenizer, prompt);
  if (ids.empty()) return std::string();
  const int64_t context = static_cast<int64_t>(ids.size()) + options.tokens;
  const int64_t most = model->hyper().context;
  KL_ASSIGN(const auto runner, Runner::create(*model, {.threads = options.threads,
                                                       .context = most > 0 ? std::min(context, most) : context}));
  Session session(*runner);
  GenerateOptions generation{.max_tokens = options.tokens, .start = StreamStart::mid_text};
  generation.sampling.temperature = options.temperature;
  generation.sampling.seed = 1;
  KL_ASSIGN(const Generation answer, generate(session, *tokenizer, ids, generation));
  return answer.text;
}

}  // namespace kinglet::cli
