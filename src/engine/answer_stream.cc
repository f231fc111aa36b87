#include "engine/answer_stream.h"

#include <algorithm>

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

Result<TokenId> AnswerStream::choose(std::span<const float> logits, std::span<const TokenId> tokens) {
  if (!constraint_) return sampler_.sample(logits, tokens);
  KL_ASSIGN(const grammar::TokenMask* const allowed, constraint_->allowed());
  return sampler_.sample(logits, tokens, *allowed);
}

std::string AnswerStream::push(TokenId id) {
  // What choose() did not choose may be outside the constraint; nothing goes on from there.
  if (is_end(id) || (constraint_ && !constraint_->accept(id).ok())) {
    finish_ = Finish::end;
    return {};
  }
  ++tokens_;
  std::string text = stops_.push(decoder_.push(id));
  if (stops_.stopped()) {
    finish_ = Finish::stop;
  } else if (constraint_ && constraint_->complete()) {
    finish_ = Finish::end;
  } else if (tokens_ == max_tokens_) {
    finish_ = Finish::length;
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
