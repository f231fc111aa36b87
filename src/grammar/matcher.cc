#include "grammar/matcher.h"

namespace kinglet::grammar {

Matcher::Matcher(std::shared_ptr<Automaton> automaton)
    : automaton_(std::move(automaton)), place_(automaton_->begin()) {}

void Matcher::reset() {
  mask_ = nullptr;
  automaton_->restart(*place_);
}

Status Matcher::accept(std::string_view bytes) {
  mask_ = nullptr;
  return automaton_->accept(*place_, bytes);
}

Result<const TokenMask*> Matcher::allowed() {
  if (mask_ == nullptr) {
    KL_ASSIGN(mask_, automaton_->allowed(*place_));
  }
  return mask_.get();
}

std::optional<int64_t> Matcher::bytes_to_end_after(std::string_view bytes) const {
  return automaton_->bytes_to_end_after(*place_, bytes);
}

}  // namespace kinglet::grammar
