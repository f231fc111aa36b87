// Which tokens of a conversation are answers: found with the template that serves the model, not with a second opinion
// about its marks.
#pragma once

#include <cstddef>
#include <vector>

#include "tokenizer/chat_format.h"

namespace kinglet::train {

struct AnswerRange {
  size_t begin = 0, end = 0;  ///< tokens
};

struct AnsweredChat {
  std::vector<TokenId> ids;
  std::vector<AnswerRange> answers;  ///< in order; empty where no message is the assistant's
};

/// The tokens of a whole conversation and those of the assistant's messages with number `first` or more.
///
/// The conversation is rendered up to each answer as a prompt and up to its end, and both must be prefixes of the whole:
/// an answer is what lies between, up to its last end-of-turn token (what a template writes behind that, the model never
/// has to). Where the border falls inside a token, that token belongs to the answer.
///
/// Errors: unsupported where they are no prefixes (the template writes something else while the conversation goes on);
/// those of ChatFormat::render.
Result<AnsweredChat> encode_answers(const ChatFormat& format, const Conversation& conversation, size_t first = 0);

/// How many ids `a` and `b` begin with in common.
size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b);

}  // namespace kinglet::train
