// The two tables of filters, by what they work on.
#pragma once

#include <span>
#include <string_view>

#include "tokenizer/jinja/library.h"

namespace kinglet::jinja {

/// `value | name(arguments)` while it runs.
struct FilterCall {
  Runtime& runtime;
  const Value& value;
  std::string_view name;
  Arguments& arguments;

  Heap& heap() const { return runtime.heap; }
  Bound bind(std::initializer_list<std::string_view> names, size_t required = 0) const {
    return Bound(name, arguments, names, required);
  }
};

struct Filter {
  std::string_view name;
  Value (*apply)(const FilterCall&);
};

std::span<const Filter> text_filters();      ///< filters_text.cc: text and numbers
std::span<const Filter> sequence_filters();  ///< filters_sequence.cc: lists, dicts, whatever can be iterated

}  // namespace kinglet::jinja
