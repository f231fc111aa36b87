// What templates can call: filters, tests, methods of values, and global functions, by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/value.h"

namespace kinglet::jinja {

/// What a call sees besides its arguments.
struct Runtime {
  Heap& heap;
  int64_t now_unix = 0;
};

bool is_filter(std::string_view name);
bool is_test(std::string_view name);
/// Refuses a filter or test that nobody knows, with its name and line.
[[noreturn]] void raise_unknown(const Expr& expr);

/// `value | name(arguments)`. The name is known.
Value apply_filter(Runtime& runtime, std::string_view name, const Value& value, Arguments& arguments);
/// `value is name(arguments)`. The name is known.
bool apply_test(Runtime& runtime, std::string_view name, const Value& value, Arguments& arguments);

/// Whether `value` has a method of this name (with mutating ones refused, as the sandbox does).
bool has_method(const Value& value, std::string_view name);
Value call_method(Runtime& runtime, const Value& value, std::string_view name, Arguments& arguments);

/// What str.replace and the filter of that name do; a negative limit replaces all.
Value replace_text(Runtime& runtime, const Text& text, std::string_view from, std::string_view to, int64_t limit);
/// Padded to `width` characters; `align` is < > or ^.
Value pad_text(Runtime& runtime, const Text& text, int64_t width, std::string_view fill, char align);

/// A global function (range, namespace, raise_exception, strftime_now, ...), or undefined.
Value global(Runtime& runtime, std::string_view name);

/// strftime in the local time zone, with Python's %f. Fails on a format that gives too much text.
std::string format_time(int64_t unix_seconds, const std::string& format);

/// Arguments by parameter name, as Python binds them.
class Bound {
 public:
  /// Fails with a TypeError where too many, unknown, repeated or missing ones are given: the first `required` must be.
  Bound(std::string_view function, Arguments& arguments, std::initializer_list<std::string_view> names,
        size_t required = 0);

  bool has(size_t i) const { return given_[i]; }
  const Value& operator[](size_t i) const { return values_[i]; }
  /// The argument, or `fallback` where it was not given.
  Value get(size_t i, Value fallback) const { return given_[i] ? values_[i] : std::move(fallback); }
  bool truth(size_t i, bool fallback) const { return given_[i] ? jinja::truth(values_[i]) : fallback; }
  int64_t integer(size_t i, int64_t fallback) const;
  /// Text; fails with a TypeError where the argument is something else.
  const std::string& string(size_t i) const;

 private:
  std::string_view function_;
  static constexpr size_t kMax = 8;
  Value values_[kMax];
  bool given_[kMax] = {};
};

}  // namespace kinglet::jinja
