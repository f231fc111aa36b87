#include "engine/answer_stream.h"

#include <algorithm>
#include <chrono>

#include "host/error.h"

namespace kinglet {

std::string_view name(Finish finish) {
  switch (finish) {
    case Finish::end:
      return "end";
    case Finish::length:
      return "length";
    case Finish::stop:
      return "stop";
    case Finish::context:
      return "context";
    case Finish::cancelled:
      return "cancelled";
  }
  return "";
}

Result<AnswerStream> AnswerStream::create(const Tokenizer& tokenizer, const GenerateOptions& options,
                                          int64_t vocab_size) {
  if (options.max_tokens < 0) {
    return error(Code::invalid_argument, "max_tokens is {}; it must be 0 (no limit) or more", options.max_tokens);
  }
  KL_ASSIGN(Sampler sampler, Sampler::create(options.sampling, static_cast<int32_t>(vocab_size)));
  KL_ASSIGN(StopStrings stops, StopStrings::create(options.stops));
  return AnswerStream(tokenizer, options, std::move(sampler), std::move(stops));
}

bool AnswerStream::is_end(TokenId id) const {
  const auto ends = tokenizer_->end_tokens();
  return std::find(ends.begin(), ends.end(), id) != ends.end();
}

template <typename F>
auto AnswerStream::timed(F work) {
  const auto start = std::chrono::steady_clock::now();
  auto out = work();
  constraint_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

Result<TokenId> AnswerStream::choose(std::span<const float> logits, std::span<const TokenId> tokens) {
  return constraint_ ? choose_held(logits, tokens) : sampler_.sample(logits, tokens);
}

Result<TokenId> AnswerStream::choose_held(std::span<const float> logits, std::span<const TokenId> tokens) {
  const auto allowed = timed([&] { return constraint_->allowed(); });
  KL_TRY(allowed.status());
  if (*allowed == nullptr) return sampler_.sample(logits, tokens);
  KL_ASSIGN(const TokenId id, sampler_.sample(logits, tokens, **allowed));
  // The shortest way to the end is kept free: a text that is cut before it is complete would be worth nothing.
  const int64_t left = max_tokens_ - tokens_ - 1;
  const auto closing = timed([&]() -> const grammar::TokenMask* {
    return max_tokens_ == 0 || constraint_->fits(id, left) ? nullptr : constraint_->closing(left);
  });
  if (closing == nullptr) return id;
  const auto nearer = sampler_.sample(logits, tokens, *closing);  // a bias may ban all of these
  return nearer.ok() ? *nearer : id;
}

std::string AnswerStream::text_of(TokenId id) {
  if (std::find(visible_.begin(), visible_.end(), id) == visible_.end()) return decoder_.push(id);
  return decoder_.flush().append(tokenizer_->token_text(id));
}

std::string AnswerStream::push(TokenId id) {
  // What choose() did not choose may be outside the constraint; nothing goes on from there.
  if (is_end(id) || (constraint_ && !timed([&] { return constraint_->accept(id); }).ok())) {
    finish_ = Finish::end;
    return {};
  }
  ++tokens_;
  std::string text = stops_.push(text_of(id));
  if (stops_.stopped()) {
    finish_ = Finish::stop;
  } else if (constraint_ && constraint_->complete()) {
    finish_ = Finish::end;
  } else if (tokens_ == max_tokens_) {
    finish_ = constraint_ && constraint_->can_end() ? Finish::end : Finish::length;
  }
  return text;
}

std::string AnswerStream::flush() {
  if (stops_.stopped()) return {};
  std::string rest = stops_.push(decoder_.flush());
  if (!stops_.stopped()) rest += stops_.flush();
  return rest;
}

}  // namespace kinglet
