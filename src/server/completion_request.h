// The bodies of /v1/chat/completions and /v1/completions, checked.
#pragma once

#include <optional>
#include <variant>

#include "engine/answer_stream.h"
#include "tokenizer/chat_format.h"
#include "server/tool_request.h"

namespace kinglet::server {

/// What an answer has to be.
struct AnswerForm {
  Json schema;
  std::string param = "response_format";  ///< whose fault it is where the schema cannot be held
};

struct CompletionRequest {
  std::string model;
  Conversation conversation;        ///< of a chat
  std::string prompt;               ///< of a completion, where it is a text
  std::vector<TokenId> prompt_ids;  ///< of a completion, where it is token ids
  GenerateOptions options;
  ToolUse tools;                   ///< of a chat
  std::optional<AnswerForm> form;  ///< by response_format
  int32_t choices = 1;
  bool logprobs = false;
  int32_t top_logprobs = 0;
  bool stream = false;
  bool include_usage = false;
  std::string user;  ///< tells clients apart that share a key
};

/// The object in `body`. Errors: 400 with the place.
std::variant<Json, ApiError> parse_body(const std::string& body);

/// Every parameter that OpenAI's schema names is honoured or refused by name, and so is any other.
std::variant<CompletionRequest, ApiError> parse_chat_request(const Json& body);
std::variant<CompletionRequest, ApiError> parse_completion_request(const Json& body);

/// What both kinds have in common: sampling, stops, streaming.
void parse_sampling(RequestFields& fields, CompletionRequest& out);

/// How much the model thinks, as far as its template can be told. Notes what is wrong as `param`'s fault.
void set_reasoning_effort(const char* param, const std::string& effort, RequestFields& fields, CompletionRequest& out);

/// The messages of a chat as templates take them: parts of text joined, a tool call's arguments as an object. Notes what is wrong in
/// `fields`.
Json parse_messages(const Json& messages, RequestFields& fields);

}  // namespace kinglet::server
