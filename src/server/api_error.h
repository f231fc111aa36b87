// What a client is told when its request cannot be served, in OpenAI's shape.
#pragma once

#include <string>

#include "base/status.h"

namespace kinglet::server {

struct ApiError {
  int status = 400;  ///< of HTTP
  std::string message;
  std::string param;  ///< the request's field at fault; empty: none
  std::string code;   ///< for programs; empty: none
};

/// {"error": {"message", "type", "param", "code"}}
std::string to_body(const ApiError& error);

/// What `status` is to a client. Faults that are not the client's say nothing of files or memory.
ApiError to_api_error(const Status& status);

ApiError bad_field(std::string param, std::string message);

}  // namespace kinglet::server
