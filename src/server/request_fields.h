// The fields of a request's JSON object, each asked for by name: what nobody asked for is refused by name, so that no
// parameter is ignored in silence.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"
#include "server/api_error.h"

namespace kinglet::server {

class RequestFields {
 public:
  /// `body` must outlive it.
  explicit RequestFields(const Json& body) : body_(&body) {}

  /// Each notes the first thing that is wrong, and then returns the default.
  std::string text(const char* name, std::string otherwise = "");
  bool flag(const char* name, bool otherwise = false);
  double number(const char* name, double otherwise, double low, double high);
  int64_t integer(const char* name, int64_t otherwise, int64_t low, int64_t high);
  std::vector<std::string> texts(const char* name);  ///< one text, or an array of them

  /// The field itself; null where it is absent or null.
  const Json* get(const char* name);
  /// Fields that change nothing here, whatever they say.
  void accept(std::initializer_list<const char*> names);
  /// A field that may be there with this value only, since it asks for nothing then.
  void only(const char* name, const Json& value);

  void fail(ApiError error);
  /// What is wrong, if anything: a field that was not good, or one that nobody asked for.
  std::optional<ApiError> finish() const;
  bool failed() const { return error_.has_value(); }

 private:
  const Json* body_;
  std::set<std::string, std::less<>> known_;
  std::optional<ApiError> error_;
};

}  // namespace kinglet::server
