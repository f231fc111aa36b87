// Reads JSON that may have any shape: what is absent or of another type reads as a default, and nothing throws.
#pragma once

#include <string>
#include <string_view>

#include "formats/json.h"

namespace kinglet {

inline const Json& json_member(const Json& object, std::string_view key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto it = object.find(key);
  return it == object.end() ? null : *it;
}

/// The string's text (it lies in the JSON), or nothing.
inline std::string_view json_string(const Json& value) {
  const auto* text = value.get_ptr<const std::string*>();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}
inline std::string_view json_string(const Json& object, std::string_view key) {
  return json_string(json_member(object, key));
}

inline bool json_bool(const Json& object, std::string_view key, bool fallback) {
  const Json& value = json_member(object, key);
  return value.is_boolean() ? value.get<bool>() : fallback;
}

/// An integer in [0, limit), or -1.
inline int64_t json_index(const Json& value, int64_t limit) {
  if (!value.is_number_integer()) return -1;
  if (value.is_number_unsigned() && value.get<uint64_t>() >= static_cast<uint64_t>(limit)) return -1;
  const auto index = value.get<int64_t>();
  return index >= 0 && index < limit ? index : -1;
}

}  // namespace kinglet
