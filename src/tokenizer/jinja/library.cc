#include "tokenizer/jinja/library.h"

#include <algorithm>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace kinglet::jinja {
namespace {

const Filter* find_filter(std::string_view name) {
  for (const auto table : {text_filters(), sequence_filters()}) {
    for (const Filter& filter : table) {
      if (filter.name == name) return &filter;
    }
  }
  return nullptr;
}

}  // namespace

bool is_filter(std::string_view name) { return find_filter(name) != nullptr; }

void raise_unknown(const Expr& expr) {
  raise_unsupported(expr.line, "No {} named {}.", expr.kind == Expr::Kind::filter ? "filter" : "test",
                    quote(expr.text));
}

Value apply_filter(Runtime& runtime, std::string_view name, const Value& value, Arguments& arguments) {
  runtime.heap.step();
  return find_filter(name)->apply(FilterCall{runtime, value, name, arguments});
}

Bound::Bound(std::string_view function, Arguments& arguments, std::initializer_list<std::string_view> names,
             size_t required)
    : function_(function) {
  if (arguments.positional.size() > names.size()) {
    raise("TypeError", "{}() takes at most {} argument(s) ({} given)", function, names.size(),
          arguments.positional.size());
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = arguments.positional[i];
    given_[i] = true;
  }
  for (auto& [name, value] : arguments.named) {
    const auto i = static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    if (i == names.size()) raise("TypeError", "{}() got an unexpected keyword argument {}", function, quote(name));
    if (given_[i]) raise("TypeError", "{}() got multiple values for argument {}", function, quote(name));
    values_[i] = value;
    given_[i] = true;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given_[i]) raise("TypeError", "{}() missing required argument {}", function, quote(*(names.begin() + i)));
  }
}

int64_t Bound::integer(size_t i, int64_t fallback) const {
  if (!given_[i]) return fallback;
  if (values_[i].is_undefined()) raise_undefined(values_[i]);
  if (!values_[i].is_integral() || values_[i].is_wide()) {
    raise("TypeError", "'{}' object cannot be interpreted as an integer", type_name(values_[i]));
  }
  return values_[i].integer();
}

const std::string& Bound::string(size_t i) const {
  if (!values_[i].is_text())
    raise("TypeError", "{}() argument {} must be str, not {}", function_, i + 1, type_name(values_[i]));
  return values_[i].string();
}

}  // namespace kinglet::jinja
