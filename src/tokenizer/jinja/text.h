// Values as text: Python's str() and repr(), and json.dumps as transformers' tojson calls it.
#pragma once

#include <string>

#include "tokenizer/jinja/value.h"

namespace kinglet::jinja {

std::string float_repr(double value);
std::string to_str(Heap& heap, const Value& value);
std::string to_repr(Heap& heap, const Value& value);
std::string quote(std::string_view text);  ///< repr of a string

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool pretty = false;
  std::string indent;  ///< of one level, where pretty
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
/// Fails where a value is no JSON.
std::string to_json(Heap& heap, const Value& value, const JsonStyle& style);

}  // namespace kinglet::jinja
