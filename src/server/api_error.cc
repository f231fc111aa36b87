#include "server/api_error.h"

#include "formats/json.h"

namespace kinglet::server {
namespace {

std::string_view type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

std::string to_body(const ApiError& error) {
  const Json body = {{"error",
                      {{"message", error.message},
                       {"type", type_of(error.status)},
                       {"param", or_null(error.param)},
                       {"code", or_null(error.code)}}}};
  return to_text(body);
}

ApiError to_api_error(const Status& status) {
  switch (status.code()) {
    case Code::out_of_range:
      return {400, std::string(status.text()), "", "context_length_exceeded"};
    case Code::invalid_argument:
    case Code::unsupported:
    case Code::corrupt:
    case Code::not_found:
      return {400, std::string(status.text())};
    case Code::resource_exhausted:
      return {503, "the server has no room for this request now; try again later", "", "overloaded"};
    case Code::cancelled:
      return {503, "the request was ended: the server is shutting down", "", "shutting_down"};
    default:
      return {500, "the server could not finish this request", "", "internal_error"};
  }
}

ApiError bad_field(std::string param, std::string message) {
  return {400, std::move(message), std::move(param), "invalid_value"};
}

}  // namespace kinglet::server
