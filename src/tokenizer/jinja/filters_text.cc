// Filters that give text or a number.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "formats/html.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

/// The value as text, escaped text staying so.
Value soft_text(const FilterCall& call) {
  return call.value.is_text() ? call.value : make_text(call.heap(), to_str(call.heap(), call.value));
}

/// A filter that is a method of the value's text.
Value by_method(const FilterCall& call, std::string_view method) {
  return call_method(call.runtime, soft_text(call), method, call.arguments);
}

Value upper(const FilterCall& call) { return by_method(call, "upper"); }
Value lower(const FilterCall& call) { return by_method(call, "lower"); }
Value capitalize(const FilterCall& call) { return by_method(call, "capitalize"); }
Value trim(const FilterCall& call) { return by_method(call, "strip"); }

Value center(const FilterCall& call) {
  const Bound args = call.bind({"width"});
  return pad_text(call.runtime, soft_text(call).text(), args.integer(0, 80), " ", '^');
}

/// Words start after white space, hyphens and opening brackets, not only after what is no letter.
Value title(const FilterCall& call) {
  call.bind({});
  const Value text = soft_text(call);
  std::string out;
  bool starts = true;
  std::string_view bytes = text.string();
  call.heap().step(bytes.size() / 8);
  for (size_t pos = 0; pos < bytes.size();) {
    const size_t begin = pos;
    const uint32_t c = next_code_point(bytes, pos);
    const std::string_view one = bytes.substr(begin, pos - begin);
    const bool separator = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    out += separator ? std::string(one) : starts ? to_upper(one) : to_lower(one);
    starts = separator;
  }
  return make_text(call.heap(), std::move(out));
}

Value replace(const FilterCall& call) {
  const Bound args = call.bind({"old", "new", "count"}, 2);
  Heap& heap = call.heap();
  const int64_t limit = args.has(2) && !args[2].is_none() ? args.integer(2, -1) : -1;
  const Value text = make_text(heap, to_str(heap, call.value));
  return replace_text(call.runtime, text.text(), to_str(heap, args[0]), to_str(heap, args[1]), limit);
}

Value string(const FilterCall& call) {
  call.bind({});
  return soft_text(call);
}

Value safe(const FilterCall& call) {
  call.bind({});
  return make_text(call.heap(), to_str(call.heap(), call.value), true);
}

Value escape(const FilterCall& call) {
  call.bind({});
  if (call.name != "forceescape" && call.value.is_text() && call.value.text().markup) return call.value;
  const std::string text = to_str(call.heap(), call.value);
  call.heap().expect(5 * text.size());
  return make_text(call.heap(), escape_html(text), true);
}

Value format(const FilterCall& call) {
  const Value text = soft_text(call);
  if (!call.arguments.named.empty() && !call.arguments.positional.empty()) {
    raise("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
  }
  if (call.arguments.named.empty())
    return format_percent(call.heap(), text.text(), make_tuple(call.heap(), call.arguments.positional));
  std::vector<Dict::Entry> entries;
  for (auto& [key, value] : call.arguments.named) entries.emplace_back(make_text(call.heap(), key), value);
  return format_percent(call.heap(), text.text(), make_dict(call.heap(), std::move(entries)));
}

/// str.splitlines.
std::vector<Value> lines_of(const FilterCall& call, const Value& text) {
  Arguments none;
  return iterate(call.heap(), call_method(call.runtime, text, "splitlines", none));
}

Value indent(const FilterCall& call) {
  const Bound args = call.bind({"width", "first", "blank"});
  Heap& heap = call.heap();
  if (!call.value.is_text())
    raise("TypeError", "unsupported operand type(s) for +=: '{}' and 'str'", type_name(call.value));
  const bool by_text = args.has(0) && args[0].is_text();
  const int64_t width = by_text ? 0 : std::max<int64_t>(args.integer(0, 4), 0);
  heap.expect(static_cast<uint64_t>(width));
  const std::string margin = by_text ? args[0].string() : std::string(static_cast<size_t>(width), ' ');
  const bool blank = args.truth(2, false);
  // The line end that jinja2 adds makes a last, empty line of its own where the text ends in one.
  const std::vector<Value> lines = lines_of(call, make_text(heap, call.value.string() + "\n"));
  std::string out = args.truth(1, false) ? margin : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += "\n";
    if (i > 0 && (blank || !lines[i].string().empty())) out += margin;
    out += lines[i].string();
    heap.expect(out.size());
  }
  return make_text(heap, std::move(out), call.value.text().markup);
}

Value truncate(const FilterCall& call) {
  const Bound args = call.bind({"length", "killwords", "end", "leeway"});
  Heap& heap = call.heap();
  const std::string end = args.has(2) ? args.string(2) : "...";
  const int64_t wanted = args.integer(0, 255);
  const int64_t leeway = args.has(3) && !args[3].is_none() ? args.integer(3, 5) : 5;
  const auto end_length = static_cast<int64_t>(count_code_points(end));
  if (wanted < end_length) raise("AssertionError", "expected length >= {}, got {}", end_length, wanted);
  if (leeway < 0) raise("AssertionError", "expected leeway >= 0, got {}", leeway);
  const auto size = static_cast<int64_t>(length(call.value));
  if (!call.value.is_text() || size <= wanted || size - wanted <= leeway) return call.value;
  std::string text =
      call.value.string().substr(0, byte_offset(call.value.string(), static_cast<size_t>(wanted - end_length)));
  if (!args.truth(1, false)) text.resize(std::min(text.rfind(' '), text.size()));
  return make_text(heap, text + end);
}

Value wordcount(const FilterCall& call) {
  call.bind({});
  const std::string text = to_str(call.heap(), call.value);
  int64_t words = 0;
  bool inside = false;
  for (size_t pos = 0; pos < text.size();) {
    const uint32_t c = next_code_point(text, pos);
    const bool word = c == '_' || is_alnum(c);
    words += word && !inside ? 1 : 0;
    inside = word;
  }
  return Value::of(words);
}

std::string quote_url(std::string_view text, bool query) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const bool plain =
        byte < 0x80 && (is_alnum(byte) || c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !query));
    if (plain) out += c;
    else if (query && c == ' ') out += '+';
    else out += fmt::format("%{:02X}", byte);
  }
  return out;
}

Value urlencode(const FilterCall& call) {
  call.bind({});
  Heap& heap = call.heap();
  if (call.value.is_text() || !is_iterable(call.value))
    return make_text(heap, quote_url(to_str(heap, call.value), false));
  std::string out;
  const auto put = [&](const Value& key, const Value& value) {
    if (!out.empty()) out += '&';
    out += quote_url(to_str(heap, key), true) + "=" + quote_url(to_str(heap, value), true);
  };
  if (call.value.is(Value::Kind::dict)) {
    for (const auto& [key, value] : call.value.dict().entries) put(key, value);
  } else {
    for (const Value& item : iterate(heap, call.value)) {
      const std::vector<Value> pair = iterate(heap, item);
      if (pair.size() != 2) raise("ValueError", "not enough values to unpack (expected 2, got {})", pair.size());
      put(pair[0], pair[1]);
    }
  }
  return make_text(heap, std::move(out));
}

/// As transformers sets it up: json.dumps without the escapes for HTML that jinja2's own filter adds.
Value tojson(const FilterCall& call) {
  const Bound args = call.bind({"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = args.truth(0, false);
  style.sort_keys = args.truth(3, false);
  style.pretty = args.has(1) && !args[1].is_none();
  if (style.pretty) {
    style.item_separator.assign(1, ',');
    if (args[1].is_text()) {
      style.indent = args[1].string();
    } else {
      const int64_t width = std::max<int64_t>(args.integer(1, 0), 0);
      call.heap().expect(static_cast<uint64_t>(width));
      style.indent.assign(static_cast<size_t>(width), ' ');
    }
  }
  if (args.has(2) && !args[2].is_none()) {
    const std::vector<Value> pair = iterate(call.heap(), args[2]);
    if (pair.size() != 2 || !pair[0].is_text() || !pair[1].is_text()) raise("ValueError", "separators are two strings");
    style.item_separator = pair[0].string();
    style.key_separator = pair[1].string();
  }
  return make_text(call.heap(), to_json(call.heap(), call.value, style));
}

// -- numbers --

/// Text as Python's int() reads it; nothing where it is no integer.
std::optional<Value> parse_integer(std::string_view text, int64_t base) {
  text = strip_left(strip_right(text));
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const auto prefixed = [&](char letter) { return text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == letter; };
  for (const auto& [letter, value] : {std::pair{'x', 16}, std::pair{'o', 8}, std::pair{'b', 2}}) {
    if ((base == value || base == 0) && prefixed(letter)) {
      text.remove_prefix(2);
      base = value;
    }
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36) raise("ValueError", "int() base must be >= 2 and <= 36, or 0");
  std::string digits(negative ? "-" : "");
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') digits += text[i];
    else if (i == 0 || i + 1 == text.size() || text[i - 1] == '_') return std::nullopt;
  }
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, static_cast<int>(base));
  if (error == std::errc::result_out_of_range) raise("OverflowError", "integers beyond 64 bits are outside the subset");
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return Value::of(value);
}

/// Text as Python's float() reads it; nothing where it is no number.
std::optional<double> parse_float(std::string_view text) {
  text = strip_left(strip_right(text));
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string lower = to_lower(text);
  double value = 0;
  if (lower == "inf" || lower == "infinity") {
    value = HUGE_VAL;
  } else if (lower == "nan") {
    value = NAN;
  } else {
    if (lower.empty() || !(lower[0] == '.' || (lower[0] >= '0' && lower[0] <= '9'))) return std::nullopt;
    const auto [end, error] = std::from_chars(lower.data(), lower.data() + lower.size(), value);
    if (error == std::errc::result_out_of_range) value = std::strtod(lower.c_str(), nullptr);
    else if (error != std::errc() || end != lower.data() + lower.size()) return std::nullopt;
  }
  return negative ? -value : value;
}

std::optional<Value> truncated(double value) {
  if (std::isnan(value) || std::isinf(value)) return std::nullopt;
  if (std::fabs(value) >= 9.2e18) raise("OverflowError", "integers beyond 64 bits are outside the subset");
  return Value::of(static_cast<int64_t>(value));
}

Value to_int(const FilterCall& call) {
  const Bound args = call.bind({"default", "base"});
  const Value& value = call.value;
  if (value.is_undefined()) raise_undefined(value);
  if (value.is_integral()) return value.is_wide() ? value : Value::of(value.integer());
  if (value.is(Value::Kind::real)) return truncated(value.real()).value_or(args.get(0, Value::of(0)));
  if (value.is_text()) {
    if (auto found = parse_integer(value.string(), args.integer(1, 10))) return *found;
    if (const auto number = parse_float(value.string())) {
      if (auto found = truncated(*number)) return *found;
    }
  }
  return args.get(0, Value::of(0));
}

Value to_float(const FilterCall& call) {
  const Bound args = call.bind({"default"});
  if (call.value.is_undefined()) raise_undefined(call.value);
  if (call.value.is_number() && !call.value.is_wide()) return Value::of(call.value.number());
  if (call.value.is_text()) {
    if (const auto number = parse_float(call.value.string())) return Value::of(*number);
  }
  return args.get(0, Value::of(0.0));
}

Value absolute(const FilterCall& call) {
  call.bind({});
  if (call.value.is_undefined() || !call.value.is_number())
    raise("TypeError", "bad operand type for abs(): '{}'", type_name(call.value));
  if (call.value.is(Value::Kind::real)) return Value::of(std::fabs(call.value.real()));
  return call.value.integer() < 0 ? negate(call.value) : Value::of(call.value.integer());
}

double round_to(double value, int64_t digits) {
  if (std::isnan(value) || std::isinf(value) || digits > 330) return value;
  if (digits < -330) return 0;
  // printf rounds the exact binary value half to even, which is what Python's round does.
  if (digits >= 0) return std::strtod(fmt::format("{:.{}f}", value, static_cast<int>(digits)).c_str(), nullptr);
  const double scale = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / scale) * scale;
}

Value round_integer(int64_t value, int64_t digits) {
  if (digits >= 0) return Value::of(value);
  if (digits < -18) return Value::of(0);
  int64_t scale = 1;
  for (int64_t i = digits; i < 0; ++i) scale *= 10;
  const int64_t rest = value % scale;
  int64_t out = value - rest;
  const int64_t twice = 2 * (rest < 0 ? -rest : rest);
  if (twice > scale || (twice == scale && (out / scale) % 2 != 0)) out += rest < 0 ? -scale : scale;
  return Value::of(out);
}

Value round(const FilterCall& call) {
  const Bound args = call.bind({"precision", "method"});
  const int64_t digits = args.integer(0, 0);
  const std::string method = args.has(1) ? args.string(1) : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    raise("FilterArgumentError", "method must be common, ceil or floor");
  }
  if (call.value.is_undefined()) raise_undefined(call.value);
  if (!call.value.is_number() || call.value.is_wide())
    raise("TypeError", "type {} doesn't define __round__ method", type_name(call.value));
  if (method == "common") {
    if (call.value.is_integral()) return round_integer(call.value.integer(), digits);
    return Value::of(round_to(call.value.real(), digits));
  }
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = call.value.number() * scale;
  return Value::of((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

constexpr Filter kFilters[] = {
    {"abs", absolute},        {"capitalize", capitalize},
    {"center", center},       {"e", escape},
    {"escape", escape},       {"float", to_float},
    {"forceescape", escape},  {"format", format},
    {"indent", indent},       {"int", to_int},
    {"lower", lower},         {"replace", replace},
    {"round", round},         {"safe", safe},
    {"string", string},       {"title", title},
    {"tojson", tojson},       {"trim", trim},
    {"truncate", truncate},   {"upper", upper},
    {"urlencode", urlencode}, {"wordcount", wordcount},
};

}  // namespace

std::span<const Filter> text_filters() { return kFilters; }

}  // namespace kinglet::jinja
