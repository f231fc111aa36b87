// Whole answers: values as JSON, and errors.
#pragma once

#include <variant>

#include "formats/json.h"
#include "server/api_error.h"
#include "server/http_server.h"

namespace kinglet::server {

inline HttpReply json_reply(const Json& body, int status = 200) { return {status, "application/json", to_text(body)}; }

HttpReply error_reply(const ApiError& error);

/// The value; null where there is an error, which has then been the answer.
template <typename T>
T* value_or_refuse(std::variant<T, ApiError>& result, Exchange& exchange) {
  if (auto* value = std::get_if<T>(&result)) return value;
  exchange.respond(error_reply(std::get<ApiError>(result)));
  return nullptr;
}

}  // namespace kinglet::server
