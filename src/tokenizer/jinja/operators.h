// Operators on values, with Python's results and its errors.
#pragma once

#include <string_view>

#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/value.h"

namespace kinglet::jinja {

/// a op b for + - * / // % **
Value arithmetic(Heap& heap, std::string_view op, const Value& a, const Value& b);
Value negate(const Value& value);
Value posit(const Value& value);

/// a op b for == != < <= > >= in "not in"
bool compare(Heap& heap, std::string_view op, const Value& a, const Value& b);
bool contains(Heap& heap, const Value& container, const Value& item);

/// value.name: a method, an attribute, else an element of that key; undefined where there is none.
Value get_attribute(Runtime& runtime, const Value& value, std::string_view name);
/// value[key]: an element, else an attribute of that name; undefined where there is none.
Value get_item(Runtime& runtime, const Value& value, const Value& key);
/// value[start:stop:step]; fails where the value cannot be sliced. None stands for a bound that is not given.
Value get_slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop, const Value& step);

/// value % arguments: printf's formatting of Python strings.
Value format_percent(Heap& heap, const Text& format, const Value& arguments);
/// value.format(...)
Value format_braces(Runtime& runtime, const Text& format, const Arguments& arguments);

}  // namespace kinglet::jinja
