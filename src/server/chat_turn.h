// One turn of a chat: from the request to the model's prompt, what holds the answer, and who reads it.
#pragma once

#include "server/answer_parser.h"
#include "server/completion_request.h"
#include "server/served_model.h"

namespace kinglet::server {

struct ChatTurn {
  std::vector<TokenId> prompt;
  GenerateOptions options;
  AnswerParser parser;  ///< has read what the prompt says of the answer already
};

/// What an answer is held to; null: nothing.
using Held = std::shared_ptr<const Constraint>;

/// The request's form alone. Errors: 400 with the keyword that cannot be held.
std::variant<Held, ApiError> held_to_form(const ServedModel& model, const CompletionRequest& request);
/// Holds an answer of `model` to it, whose prompt has so many tokens.
void hold(const ServedModel& model, Held constraint, int64_t prompt_tokens, GenerateOptions& options);

/// Errors: 400 where the model has no template, the template refuses the messages, or a tool's parameters cannot be held.
std::variant<ChatTurn, ApiError> begin_turn(const ServedModel& model, const CompletionRequest& request);

}  // namespace kinglet::server
