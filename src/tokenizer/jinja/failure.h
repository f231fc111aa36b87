// How a template fails, inside the interpreter.
//
// A template's errors are Python's in all but name: they come from anywhere in an expression and nothing but the whole
// rendering handles them. Inside this folder they are C++ exceptions; ChatTemplate turns them into a Status, and none
// leaves it.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/status.h"

namespace kinglet::jinja {

/// Thrown inside the interpreter only.
struct Failure {
  Code code;
  int line;             ///< of the template, from 1; 0 where the thrower does not know and the interpreter fills it in
  std::string message;  ///< "TypeError: 'int' object is not iterable": named as jinja2 names it
};

/// A failure of a running template. `type` is the name Python gives to this kind of error.
template <typename... Args>
[[noreturn]] void raise(std::string_view type, fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{Code::invalid_argument, 0, std::string(type) + ": " + fmt::format(format, std::forward<Args>(args)...)};
}

/// A template that breaks a limit.
template <typename... Args>
[[noreturn]] void raise_limit(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{Code::resource_exhausted, 0, fmt::format(format, std::forward<Args>(args)...)};
}

/// A well-formed template that asks for something outside the subset.
template <typename... Args>
[[noreturn]] void raise_unsupported(int line, fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{Code::unsupported, line, fmt::format(format, std::forward<Args>(args)...)};
}

/// A template that is not well-formed.
template <typename... Args>
[[noreturn]] void raise_syntax(int line, fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{Code::corrupt, line, "TemplateSyntaxError: " + fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace kinglet::jinja
