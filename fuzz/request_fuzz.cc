// Any bytes as the body of a request (by the first byte: of chat, completions, responses, embeddings or Ollama's calls), and as a model's
// answer to it: an error that says what is wrong, or a request and an answer whose parts can be written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/answer_parser.h"
#include "server/embedding_request.h"
#include "server/ollama_request.h"
#include "server/responses_request.h"
#include "server/tool_grammar.h"

namespace {

using namespace kinglet::server;  // NOLINT: a fuzz target of one library
using kinglet::Json;

void check(const ApiError& error) {
  if (error.status < 400 || error.message.empty()) std::abort();
}

// What becomes of a chat with each family of models.
void go_on(const CompletionRequest& request, std::string_view answer) {
  for (const ChatFamily& family : chat_families()) {
    const ToolConversation written = for_family(family, "", request.conversation.messages, request.tools.for_template);
    if (!written.messages.is_array()) std::abort();
    if (request.tools.active()) static_cast<void>(tool_grammar(family, request.tools, nullptr));
    AnswerParser parser({.family = &family, .tools = request.tools.names()});
    bool in_call = false;
    const auto read = [&](const std::vector<AnswerPart>& parts) {
      for (const AnswerPart& part : parts) {
        if (part.kind == AnswerPart::Kind::arguments && !in_call) std::abort();
        in_call = part.kind == AnswerPart::Kind::call || part.kind == AnswerPart::Kind::arguments;
      }
    };
    for (size_t at = 0; at < answer.size(); at += 3) read(parser.push(answer.substr(at, 3)));
    read(parser.finish());
  }
}

template <typename T>
const T* value(const std::variant<T, ApiError>& result) {
  if (const auto* error = std::get_if<ApiError>(&result)) check(*error);
  return std::get_if<T>(&result);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto parsed = parse_body(text);
  const Json* body = value(parsed);
  if (body == nullptr) return 0;
  switch (data[0] % 6) {
    case 0:
      if (const auto result = parse_chat_request(*body); const auto* request = value(result)) go_on(*request, text);
      break;
    case 1:
      value(parse_completion_request(*body));
      break;
    case 2:
      if (const auto result = parse_responses_request(*body); const auto* request = value(result)) {
        go_on(request->chat, text);
      }
      break;
    case 3:
      value(parse_embedding_request(*body));
      break;
    default: {
      const auto kind = data[0] % 6 == 4 ? OllamaKind::chat : OllamaKind::generate;
      if (const auto result = parse_ollama_request(*body, kind); const auto* request = value(result)) {
        go_on(request->chat, text);
      }
    }
  }
  return 0;
}
