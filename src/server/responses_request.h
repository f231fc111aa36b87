// The body of /v1/responses, said as one of /v1/chat/completions.
#pragma once

#include <string>
#include <variant>

#include "server/completion_request.h"

namespace kinglet::server {

struct ResponsesRequest {
  CompletionRequest chat;
  Json echo;  ///< the fields of the request that the answer repeats
};

/// Errors: 400 naming the parameter of /v1/responses.
std::variant<ResponsesRequest, ApiError> parse_responses_request(const Json& body);

}  // namespace kinglet::server
