#include "server/replies.h"

namespace kinglet::server {

HttpReply error_reply(const ApiError& error) {
  HttpReply reply{error.status, "application/json", to_body(error)};
  if (error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (error.status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

}  // namespace kinglet::server
