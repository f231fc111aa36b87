#include "server/request_fields.h"

#include <fmt/format.h>

namespace kinglet::server {

const Json* RequestFields::get(const char* name) {
  known_.insert(name);
  const auto it = body_->find(name);
  return it == body_->end() || it->is_null() ? nullptr : &*it;
}

void RequestFields::fail(ApiError error) {
  if (!error_) error_ = std::move(error);
}

std::string RequestFields::text(const char* name, std::string otherwise) {
  const Json* value = get(name);
  if (value == nullptr) return otherwise;
  if (value->is_string()) return value->get<std::string>();
  fail(bad_field(name, fmt::format("{} must be a text", name)));
  return otherwise;
}

bool RequestFields::flag(const char* name, bool otherwise) {
  const Json* value = get(name);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  fail(bad_field(name, fmt::format("{} must be true or false", name)));
  return otherwise;
}

double RequestFields::number(const char* name, double otherwise, double low, double high) {
  const Json* value = get(name);
  if (value == nullptr) return otherwise;
  const double x = value->is_number() ? value->get<double>() : high + 1;
  if (x >= low && x <= high) return x;
  fail(bad_field(name, fmt::format("{} must be a number between {} and {}", name, low, high)));
  return otherwise;
}

int64_t RequestFields::integer(const char* name, int64_t otherwise, int64_t low, int64_t high) {
  const Json* value = get(name);
  if (value == nullptr) return otherwise;
  // A number past int64 is unsigned or a float to the parser.
  const bool whole = value->is_number_unsigned() ? value->get<uint64_t>() <= INT64_MAX : value->is_number_integer();
  if (whole && value->get<int64_t>() >= low && value->get<int64_t>() <= high) return value->get<int64_t>();
  fail(bad_field(name, fmt::format("{} must be a whole number between {} and {}", name, low, high)));
  return otherwise;
}

std::vector<std::string> RequestFields::texts(const char* name) {
  const Json* value = get(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  std::vector<std::string> out;
  if (value->is_array()) {
    for (const Json& item : *value) {
      if (item.is_string()) out.push_back(item.get<std::string>());
    }
  }
  if (!value->is_array() || out.size() != value->size()) {
    fail(bad_field(name, fmt::format("{} must be a text or an array of texts", name)));
  }
  return out;
}

void RequestFields::accept(std::initializer_list<const char*> names) {
  for (const char* name : names) known_.insert(name);
}

void RequestFields::only(const char* name, const Json& value) {
  const Json* given = get(name);
  if (given == nullptr || *given == value) return;
  fail({400, fmt::format("{} is not supported here; leave it out", name), name, "unsupported_parameter"});
}

std::optional<ApiError> RequestFields::finish() const {
  if (error_) return error_;
  for (const auto& [name, _] : body_->items()) {
    if (known_.contains(name)) continue;
    return ApiError{400, fmt::format("unknown parameter: {}", name), name, "unknown_parameter"};
  }
  return std::nullopt;
}

}  // namespace kinglet::server
