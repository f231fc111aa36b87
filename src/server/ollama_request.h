// The bodies of Ollama's /api/chat and /api/generate, said as those of /v1/chat/completions.
#pragma once

#include <string>
#include <variant>

#include "server/completion_request.h"

namespace kinglet::server {

enum class OllamaKind : uint8_t { chat, generate };

struct OllamaRequest {
  CompletionRequest chat;
  bool stream = true;
  bool raw = false;    ///< chat.prompt goes on without the template
  bool empty = false;  ///< asks for nothing: whether the model is there
};

/// Errors: 400 naming the parameter.
std::variant<OllamaRequest, ApiError> parse_ollama_request(const Json& body, OllamaKind kind);

/// Without ":latest": model names carry a tag there.
std::string without_tag(std::string name);

/// {"error": "message"}, as Ollama's clients read it.
std::string to_ollama_body(const ApiError& error);

}  // namespace kinglet::server
