#include "engine/draft_model.h"

#include <algorithm>

#include "host/error.h"

namespace kinglet {

Result<std::unique_ptr<ModelDrafter>> ModelDrafter::create(Runner& runner, const SamplingOptions& options) {
  const auto V = static_cast<int32_t>(runner.model().hyper().V);
  SamplingOptions own = options;
  std::erase_if(own.logit_bias,
                [V](const auto& bias) { return bias.first >= V; });  // its vocabulary may be padded less
  KL_ASSIGN(Sampler sampler, Sampler::create(own, V));
  return std::unique_ptr<ModelDrafter>(new ModelDrafter(runner, std::move(sampler)));
}

int ModelDrafter::look(std::span<const TokenId> tokens) {
  tokens_ = tokens;
  const int64_t V = session_.runner().model().hyper().V;
  const bool known = std::all_of(tokens.begin(), tokens.end(), [V](TokenId id) { return id < V; });
  return known && static_cast<int64_t>(tokens.size()) < session_.runner().context() ? kTrusts / 2 : kNoIdea;
}

// Makes the session hold tokens_, with the logits after the last.
Status ModelDrafter::catch_up() {
  const auto& held = session_.tokens();
  const size_t limit = std::min(held.size(), tokens_.size());
  auto common = static_cast<size_t>(
      std::mismatch(held.begin(), held.begin() + static_cast<ptrdiff_t>(limit), tokens_.begin()).first - held.begin());
  common = std::min(common, tokens_.size() - 1);
  KL_TRY(session_.truncate(static_cast<int64_t>(common)));
  return session_.append(tokens_.subspan(common));
}

Result<std::span<const TokenId>> ModelDrafter::guess(int64_t count) {
  KL_TRY(catch_up());
  guess_.clear();
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) KL_TRY(session_.append({&guess_.back(), 1}));
    KL_ASSIGN(const TokenId id, sampler_.sample(session_.next_logits(), session_.tokens()));
    guess_.push_back(id);
    if (session_.length() == session_.runner().context()) break;
  }
  return std::span<const TokenId>(guess_);
}

Status check_same_vocabulary(const Tokenizer& large, const Tokenizer& small) {
  const int32_t shared = std::min(large.vocab_size(), small.vocab_size());
  for (TokenId id = 0; id < shared; ++id) {
    if (large.token_text(id) != small.token_text(id))
      return error(Code::invalid_argument, "its vocabulary is another one (token {} is '{}' and not '{}')", id,
                   small.token_text(id), large.token_text(id));
  }
  // Padding at the end differs between sizes of one family.
  if (large.description() != small.description() && shared * 10 < 9 * std::max(large.vocab_size(), small.vocab_size()))
    return error(Code::invalid_argument, "its vocabulary has {} tokens and not {}", small.vocab_size(),
                 large.vocab_size());
  return ok_status();
}

}  // namespace kinglet
