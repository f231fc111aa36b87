// Methods of strings, dicts and lists, as Python has them.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

/// A method called on `self`.
struct Call {
  Runtime& runtime;
  const Value& self;
  std::string_view name;
  Arguments& arguments;

  Heap& heap() const { return runtime.heap; }
  const Text& text() const { return self.text(); }
  const std::string& bytes() const { return self.string(); }
  Value make(std::string out) const { return make_text(runtime.heap, std::move(out), self.text().markup); }
  Bound bind(std::initializer_list<std::string_view> names, size_t required = 0) const {
    return Bound(name, arguments, names, required);
  }
};

using Method = Value (*)(const Call&);
struct Entry {
  std::string_view name;
  Method method;  ///< null: it would change its object, which the sandbox refuses
};

// -- strings --

Value strip(const Call& call) {
  const Bound args = call.bind({"chars"});
  const bool left = call.name != "rstrip", right = call.name != "lstrip";
  std::string_view text = call.bytes();
  if (args.has(0) && !args[0].is_none()) {
    const std::string& set = args.string(0);
    call.heap().step(text.size() / 64 * (set.size() + 1));
    if (left) text = strip_left(text, set);
    if (right) text = strip_right(text, set);
  } else {
    if (left) text = strip_left(text);
    if (right) text = strip_right(text);
  }
  return call.make(std::string(text));
}

/// The pieces of text between white space, at most `limit` cuts (negative: all).
std::vector<std::string_view> split_space(std::string_view text, int64_t limit) {
  std::vector<std::string_view> out;
  text = strip_left(text);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
      out.push_back(text);  // Python keeps the white space behind it
      break;
    }
    size_t end = 0;
    while (end < text.size()) {
      size_t next = end;
      if (is_space(next_code_point(text, next))) break;
      end = next;
    }
    out.push_back(text.substr(0, end));
    text = strip_left(text.substr(end));
  }
  return out;
}

std::vector<std::string_view> rsplit_space(std::string_view text, int64_t limit) {
  const std::vector<std::string_view> all = split_space(text, -1);
  if (limit < 0 || all.size() <= static_cast<size_t>(limit)) return all;
  const size_t kept = static_cast<size_t>(limit);
  const size_t first = all.size() - kept;
  const auto head_end = static_cast<size_t>(all[first - 1].data() + all[first - 1].size() - text.data());
  std::vector<std::string_view> out{text.substr(0, head_end)};
  out.insert(out.end(), all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
  return out;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator, int64_t limit) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t end = text.find(separator, begin);
    if (end == text.npos) break;
    out.push_back(text.substr(begin, end - begin));
    begin = end + separator.size();
  }
  out.push_back(text.substr(begin));
  return out;
}

std::vector<std::string_view> rsplit_at(std::string_view text, std::string_view separator, int64_t limit) {
  std::vector<std::string_view> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t begin = text.rfind(separator);
    if (begin == text.npos) break;
    out.push_back(text.substr(begin + separator.size()));
    text = text.substr(0, begin);
  }
  out.push_back(text);
  std::reverse(out.begin(), out.end());
  return out;
}

Value texts(const Call& call, const std::vector<std::string_view>& pieces) {
  call.heap().expect(pieces.size() * (sizeof(Text) + sizeof(Value)));
  call.heap().step(pieces.size());
  std::vector<Value> items;
  items.reserve(pieces.size());
  for (std::string_view piece : pieces) items.push_back(call.make(std::string(piece)));
  return make_list(call.heap(), std::move(items));
}

Value split(const Call& call) {
  const Bound args = call.bind({"sep", "maxsplit"});
  const int64_t limit = args.integer(1, -1);
  const bool reverse = call.name == "rsplit";
  call.heap().step(call.bytes().size() / 8);
  if (!args.has(0) || args[0].is_none()) {
    return texts(call, reverse ? rsplit_space(call.bytes(), limit) : split_space(call.bytes(), limit));
  }
  const std::string& separator = args.string(0);
  if (separator.empty()) raise("ValueError", "empty separator");
  return texts(call, reverse ? rsplit_at(call.bytes(), separator, limit) : split_at(call.bytes(), separator, limit));
}

Value splitlines(const Call& call) {
  const Bound args = call.bind({"keepends"});
  const bool keep = args.truth(0, false);
  const std::string_view text = call.bytes();
  std::vector<std::string_view> out;
  size_t begin = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = pos;
    const uint32_t c = next_code_point(text, pos);
    const bool breaks = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!breaks) continue;
    if (c == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
    out.push_back(text.substr(begin, (keep ? pos : end) - begin));
    begin = pos;
  }
  if (begin < text.size()) out.push_back(text.substr(begin));
  return texts(call, out);
}

Value partition(const Call& call) {
  const Bound args = call.bind({"sep"}, 1);
  const std::string& separator = args.string(0);
  if (separator.empty()) raise("ValueError", "empty separator");
  const std::string& text = call.bytes();
  const bool reverse = call.name == "rpartition";
  const size_t at = reverse ? text.rfind(separator) : text.find(separator);
  const Value empty = call.make({});
  if (at == text.npos)
    return make_tuple(call.heap(), reverse ? std::vector<Value>{empty, empty, call.self}
                                           : std::vector<Value>{call.self, empty, empty});
  return make_tuple(call.heap(), {call.make(text.substr(0, at)), call.make(separator),
                                  call.make(text.substr(at + separator.size()))});
}

/// The part of the text that optional start and end arguments choose.
struct Window {
  std::string_view text;
  int64_t start;  // in characters
  bool valid;     // false where start lies behind the end
};

Window window(const Call& call, const Bound& args, size_t first) {
  const auto length = static_cast<int64_t>(call.text().length);
  const auto bound = [&](size_t i, int64_t fallback) {
    if (!args.has(i) || args[i].is_none()) return fallback;
    const int64_t value = args.integer(i, fallback);
    return value < 0 ? std::max<int64_t>(value + length, 0) : value;
  };
  const int64_t start = bound(first, 0);
  const int64_t stop = std::min(bound(first + 1, length), length);
  if (start > stop) return {{}, start, false};
  const std::string_view text = call.bytes();
  const size_t begin = byte_offset(text, static_cast<size_t>(start));
  const size_t size = byte_offset(text.substr(begin), static_cast<size_t>(stop - start));
  return {text.substr(begin, size), start, true};
}

Value starts_or_ends(const Call& call) {
  const bool starts = call.name == "startswith";
  const Bound args = call.bind({"prefix", "start", "end"}, 1);
  const Window part = window(call, args, 1);
  const auto matches = [&](const Value& what) {
    if (!what.is_text())
      raise("TypeError", "{} first arg must be str or a tuple of str, not {}", call.name, type_name(what));
    return part.valid && (starts ? part.text.starts_with(what.string()) : part.text.ends_with(what.string()));
  };
  if (args[0].is(Value::Kind::sequence) && args[0].sequence().is_tuple()) {
    const auto& items = args[0].sequence().items;
    return Value::of(std::any_of(items.begin(), items.end(), matches));
  }
  return Value::of(matches(args[0]));
}

Value find(const Call& call) {
  const Bound args = call.bind({"sub", "start", "end"}, 1);
  const Window part = window(call, args, 1);
  const bool reverse = call.name == "rfind" || call.name == "rindex";
  call.heap().step(part.text.size() / 64);
  const std::string& what = args.string(0);
  const size_t at = !part.valid ? std::string_view::npos : reverse ? part.text.rfind(what) : part.text.find(what);
  if (at != std::string_view::npos)
    return Value::of(part.start + static_cast<int64_t>(count_code_points(part.text.substr(0, at))));
  if (call.name == "index" || call.name == "rindex") raise("ValueError", "substring not found");
  return Value::of(-1);
}

Value count_text(const Call& call) {
  const Bound args = call.bind({"sub", "start", "end"}, 1);
  const Window part = window(call, args, 1);
  const std::string& what = args.string(0);
  if (!part.valid) return Value::of(0);
  if (what.empty()) return Value::of(count_code_points(part.text) + 1);
  call.heap().step(part.text.size() / 64);
  int64_t n = 0;
  for (size_t at = part.text.find(what); at != part.text.npos; at = part.text.find(what, at + what.size())) ++n;
  return Value::of(n);
}

Value replace(const Call& call) {
  const Bound args = call.bind({"old", "new", "count"}, 2);
  return replace_text(call.runtime, call.text(), args.string(0), args.string(1), args.integer(2, -1));
}

Value change_case(const Call& call) {
  call.bind({});
  const std::string& text = call.bytes();
  call.heap().step(text.size() / 8);
  if (call.name == "upper") return call.make(to_upper(text));
  if (call.name == "title") return call.make(to_title(text));
  if (call.name == "capitalize") return call.make(to_capitalized(text));
  if (call.name != "swapcase") return call.make(to_lower(text));
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const uint32_t c = next_code_point(text, pos);
    const std::string_view one = std::string_view(text).substr(begin, pos - begin);
    out += is_upper(c) ? to_lower(one) : is_lower(c) ? to_upper(one) : std::string(one);
  }
  return call.make(std::move(out));
}

/// islower and isupper: some letter has case, and all that have it agree.
Value is_case(const Call& call) {
  call.bind({});
  const bool lower = call.name == "islower";
  bool seen = false;
  const std::string& text = call.bytes();
  for (size_t pos = 0; pos < text.size();) {
    const uint32_t c = next_code_point(text, pos);
    if (lower ? is_upper(c) : is_lower(c)) return Value::of(false);
    seen = seen || (lower ? is_lower(c) : is_upper(c));
  }
  return Value::of(seen);
}

/// isdigit, isalpha and their like: every character is of a kind, and there is one.
Value is_kind(const Call& call) {
  call.bind({});
  bool (*accepts)(uint32_t) = call.name == "isalpha"   ? is_alpha
                              : call.name == "isalnum" ? is_alnum
                              : call.name == "isspace" ? is_space
                                                       : is_decimal;
  const std::string& text = call.bytes();
  for (size_t pos = 0; pos < text.size();) {
    if (!accepts(next_code_point(text, pos))) return Value::of(false);
  }
  return Value::of(!text.empty());
}

Value remove_affix(const Call& call) {
  const Bound args = call.bind({"affix"}, 1);
  std::string_view text = call.bytes();
  const std::string& affix = args.string(0);
  if (call.name == "removeprefix" && text.starts_with(affix)) text.remove_prefix(affix.size());
  else if (call.name == "removesuffix" && text.ends_with(affix)) text.remove_suffix(affix.size());
  return call.make(std::string(text));
}

Value join(const Call& call) {
  const Bound args = call.bind({"iterable"}, 1);
  const std::vector<Value> items = iterate(call.heap(), args[0]);
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_text())
      raise("TypeError", "sequence item {}: expected str instance, {} found", i, type_name(items[i]));
    if (i > 0) out += call.bytes();
    out += items[i].string();
    call.heap().expect(out.size());
  }
  return call.make(std::move(out));
}

Value justify(const Call& call) {
  const Bound args = call.bind({"width", "fillchar"}, 1);
  const std::string fill = args.has(1) ? args.string(1) : " ";
  if (count_code_points(fill) != 1) raise("TypeError", "The fill character must be exactly one character long");
  return pad_text(call.runtime, call.text(), args.integer(0, 0), fill,
                  call.name == "ljust"   ? '<'
                  : call.name == "rjust" ? '>'
                                         : '^');
}

Value zfill(const Call& call) {
  const Bound args = call.bind({"width"}, 1);
  const std::string& text = call.bytes();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  const Value digits = sign ? call.make(text.substr(1)) : call.self;
  const Value padded = pad_text(call.runtime, digits.text(), args.integer(0, 0) - (sign ? 1 : 0), "0", '>');
  return sign ? call.make(text.substr(0, 1) + padded.string()) : padded;
}

Value expandtabs(const Call& call) {
  const Bound args = call.bind({"tabsize"});
  const int64_t size = args.integer(0, 8);
  std::string out;
  int64_t column = 0;
  for (char c : call.bytes()) {
    if (c != '\t') {
      out += c;
      column = c == '\n' || c == '\r' ? 0 : column + ((static_cast<uint8_t>(c) & 0xC0) != 0x80 ? 1 : 0);
      continue;
    }
    const int64_t spaces = size > 0 ? size - column % size : 0;
    call.heap().expect(out.size() + static_cast<uint64_t>(spaces));
    out.append(static_cast<size_t>(spaces), ' ');
    column += spaces;
  }
  return call.make(std::move(out));
}

Value format(const Call& call) { return format_braces(call.runtime, call.text(), call.arguments); }

// -- dicts --

Value dict_get(const Call& call) {
  const Bound args = call.bind({"key", "default"}, 1);
  const Value* found = call.self.dict().find(call.heap(), args[0]);
  return found ? *found : args.get(1, Value::none());
}

Value dict_view(const Call& call) {
  call.bind({});
  const auto& entries = call.self.dict().entries;
  call.heap().step(entries.size());
  std::vector<Value> items;
  for (const auto& [key, value] : entries) {
    items.push_back(call.name == "keys" ? key : call.name == "values" ? value : make_tuple(call.heap(), {key, value}));
  }
  const auto flavour = call.name == "keys"     ? Sequence::Flavour::keys
                       : call.name == "values" ? Sequence::Flavour::values
                                               : Sequence::Flavour::items;
  return make_view(call.heap(), flavour, std::move(items));
}

Value copy(const Call& call) {
  call.bind({});
  return call.self;
}

// -- lists and tuples --

Value count_items(const Call& call) {
  const Bound args = call.bind({"value"}, 1);
  const auto& items = call.self.sequence().items;
  return Value::of(static_cast<int64_t>(
      std::count_if(items.begin(), items.end(), [&](const Value& item) { return equal(call.heap(), item, args[0]); })));
}

Value index_of(const Call& call) {
  const Bound args = call.bind({"value", "start", "stop"}, 1);
  const auto& items = call.self.sequence().items;
  const auto size = static_cast<int64_t>(items.size());
  const auto clamp = [size](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
  const int64_t stop = clamp(args.integer(2, size));
  for (int64_t i = clamp(args.integer(1, 0)); i < stop; ++i) {
    if (equal(call.heap(), items[static_cast<size_t>(i)], args[0])) return Value::of(i);
  }
  raise("ValueError", "{} is not in {}", to_repr(call.heap(), args[0]), type_name(call.self));
}

// -- numbers --

Value is_integer(const Call& call) {
  call.bind({});
  return Value::of(call.self.is_integral() || call.self.real() == std::floor(call.self.real()));
}

constexpr Entry kText[] = {
    {"capitalize", change_case},
    {"casefold", change_case},
    {"center", justify},
    {"count", count_text},
    {"endswith", starts_or_ends},
    {"expandtabs", expandtabs},
    {"find", find},
    {"format", format},
    {"index", find},
    {"isalnum", is_kind},
    {"isalpha", is_kind},
    {"isdecimal", is_kind},
    {"isdigit", is_kind},
    {"islower", is_case},
    {"isnumeric", is_kind},
    {"isspace", is_kind},
    {"isupper", is_case},
    {"join", join},
    {"ljust", justify},
    {"lower", change_case},
    {"lstrip", strip},
    {"partition", partition},
    {"removeprefix", remove_affix},
    {"removesuffix", remove_affix},
    {"replace", replace},
    {"rfind", find},
    {"rindex", find},
    {"rjust", justify},
    {"rpartition", partition},
    {"rsplit", split},
    {"rstrip", strip},
    {"split", split},
    {"splitlines", splitlines},
    {"startswith", starts_or_ends},
    {"strip", strip},
    {"swapcase", change_case},
    {"title", change_case},
    {"upper", change_case},
    {"zfill", zfill},
};
constexpr Entry kDict[] = {{"clear", nullptr},  {"copy", copy},       {"get", dict_get},    {"items", dict_view},
                           {"keys", dict_view}, {"pop", nullptr},     {"popitem", nullptr}, {"setdefault", nullptr},
                           {"update", nullptr}, {"values", dict_view}};
constexpr Entry kList[] = {{"append", nullptr}, {"clear", nullptr},   {"copy", copy},      {"count", count_items},
                           {"extend", nullptr}, {"index", index_of},  {"insert", nullptr}, {"pop", nullptr},
                           {"remove", nullptr}, {"reverse", nullptr}, {"sort", nullptr}};
constexpr Entry kTuple[] = {{"count", count_items}, {"index", index_of}};
constexpr Entry kNumber[] = {{"is_integer", is_integer}};

const Entry* find_method(const Value& value, std::string_view name) {
  const auto in = [name](const auto& table) -> const Entry* {
    const auto it = std::find_if(std::begin(table), std::end(table), [name](const Entry& e) { return e.name == name; });
    return it == std::end(table) ? nullptr : &*it;
  };
  switch (value.kind()) {
    case Value::Kind::text:
      return in(kText);
    case Value::Kind::dict:
      return in(kDict);
    case Value::Kind::integer:
    case Value::Kind::real:
      return in(kNumber);
    case Value::Kind::sequence:
      if (value.sequence().is_list()) return in(kList);
      return value.sequence().is_tuple() ? in(kTuple) : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace

bool has_method(const Value& value, std::string_view name) { return find_method(value, name) != nullptr; }

Value call_method(Runtime& runtime, const Value& value, std::string_view name, Arguments& arguments) {
  const Entry* entry = find_method(value, name);
  runtime.heap.step();
  if (!entry->method)
    raise("SecurityError", "access to attribute {} of '{}' object is unsafe.", quote(name), type_name(value));
  return entry->method(Call{runtime, value, name, arguments});
}

Value replace_text(Runtime& runtime, const Text& text, std::string_view from, std::string_view to, int64_t limit) {
  Heap& heap = runtime.heap;
  heap.step(text.bytes.size() / 64);
  std::string out;
  size_t begin = 0;
  const std::string_view bytes = text.bytes;
  for (int64_t n = 0; limit < 0 || n < limit; ++n) {
    // An empty pattern stands before each character and at the end.
    size_t at = from.empty() ? begin : bytes.find(from, begin);
    if (from.empty() && n > 0) {
      if (begin >= bytes.size()) break;
      next_code_point(bytes, at);
    }
    if (at == bytes.npos) break;
    out += bytes.substr(begin, at - begin);
    out += to;
    heap.step(1);
    heap.expect(out.size());
    begin = at + from.size();
  }
  out += bytes.substr(std::min(begin, bytes.size()));
  return make_text(heap, std::move(out), text.markup);
}

Value pad_text(Runtime& runtime, const Text& text, int64_t width, std::string_view fill, char align) {
  const auto length = static_cast<int64_t>(text.length);
  if (width <= length) return make_text(runtime.heap, text.bytes, text.markup);
  const auto missing = static_cast<uint64_t>(width - length);
  if (missing > runtime.heap.limits().max_memory_bytes) runtime.heap.expect(UINT64_MAX);
  runtime.heap.expect(text.bytes.size() + missing * fill.size());
  // Python puts the odd one of a centred text to the left where the width is odd.
  const uint64_t left = align == '>'   ? missing
                        : align == '<' ? 0
                                       : missing / 2 + (missing & static_cast<uint64_t>(width) & 1);
  std::string out;
  for (uint64_t i = 0; i < left; ++i) out += fill;
  out += text.bytes;
  for (uint64_t i = left; i < missing; ++i) out += fill;
  return make_text(runtime.heap, std::move(out), text.markup);
}

}  // namespace kinglet::jinja
