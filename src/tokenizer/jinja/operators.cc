#include "tokenizer/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "formats/html.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

[[noreturn]] void unsupported_operands(std::string_view op, const Value& a, const Value& b) {
  raise("TypeError", "unsupported operand type(s) for {}: '{}' and '{}'", op == "**" ? "** or pow()" : op, type_name(a),
        type_name(b));
}

[[noreturn]] void overflow() { raise("OverflowError", "integers beyond 64 bits are outside the subset"); }

int64_t required(std::optional<int64_t> value) {
  if (!value) overflow();
  return *value;
}

int64_t checked_sub(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_sub_overflow(a, b, &out)) overflow();
  return out;
}

/// Python divides towards minus infinity.
int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0) raise("ZeroDivisionError", "integer division or modulo by zero");
  if (b == -1) return checked_sub(0, a);
  const int64_t quotient = a / b;
  return quotient - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

int64_t floor_modulo(int64_t a, int64_t b) {
  if (b == 0) raise("ZeroDivisionError", "integer modulo by zero");
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

int64_t integer_power(int64_t base, int64_t exponent) {
  int64_t out = 1;
  while (exponent > 0) {
    if (exponent & 1) out = required(checked_mul(out, base));
    exponent >>= 1;
    if (exponent > 0) base = required(checked_mul(base, base));
  }
  return out;
}

double float_modulo(double a, double b) {
  if (b == 0) raise("ZeroDivisionError", "float modulo");
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value float_power(double a, double b) {
  if (a == 0 && b < 0) raise("ZeroDivisionError", "0.0 cannot be raised to a negative power");
  if (a < 0 && b != std::floor(b)) raise("TypeError", "complex numbers are outside the subset");
  return Value::of(std::pow(a, b));
}

Value integers(std::string_view op, int64_t a, int64_t b) {
  if (op == "+") return Value::of(required(checked_add(a, b)));
  if (op == "-") return Value::of(checked_sub(a, b));
  if (op == "*") return Value::of(required(checked_mul(a, b)));
  if (op == "//") return Value::of(floor_divide(a, b));
  if (op == "%") return Value::of(floor_modulo(a, b));
  if (op == "/") {
    if (b == 0) raise("ZeroDivisionError", "division by zero");
    return Value::of(static_cast<double>(a) / static_cast<double>(b));
  }
  if (b < 0) return float_power(static_cast<double>(a), static_cast<double>(b));
  return Value::of(integer_power(a, b));
}

Value floats(std::string_view op, double a, double b) {
  if (op == "+") return Value::of(a + b);
  if (op == "-") return Value::of(a - b);
  if (op == "*") return Value::of(a * b);
  if (op == "/" && b == 0) raise("ZeroDivisionError", "float division by zero");
  if (op == "/") return Value::of(a / b);
  if (op == "//" && b == 0) raise("ZeroDivisionError", "float floor division by zero");
  if (op == "//") return Value::of(std::floor((a - float_modulo(a, b)) / b + 0.5));
  if (op == "%") return Value::of(float_modulo(a, b));
  return float_power(a, b);
}

Value numbers(std::string_view op, const Value& a, const Value& b) {
  if (a.is_wide() || b.is_wide()) overflow();
  if (a.is_integral() && b.is_integral()) return integers(op, a.integer(), b.integer());
  return floats(op, a.number(), b.number());
}

/// Text joined to text; what is added to escaped text is escaped.
Value add_text(Heap& heap, const Text& a, const Text& b) {
  heap.expect(a.bytes.size() + b.bytes.size());
  const bool markup = a.markup || b.markup;
  const auto part = [markup](const Text& t) { return markup && !t.markup ? escape_html(t.bytes) : t.bytes; };
  return make_text(heap, part(a) + part(b), markup);
}

Value add(Heap& heap, const Value& a, const Value& b) {
  if (a.is_text() && b.is_text()) return add_text(heap, a.text(), b.text());
  if (a.is_text()) raise("TypeError", "can only concatenate str (not \"{}\") to str", type_name(b));
  if (a.is(Value::Kind::sequence) && (a.sequence().is_list() || a.sequence().is_tuple())) {
    const bool list = a.sequence().is_list();
    if (!b.is(Value::Kind::sequence) || b.sequence().flavour != a.sequence().flavour) {
      raise("TypeError", "can only concatenate {0} (not \"{1}\") to {0}", list ? "list" : "tuple", type_name(b));
    }
    const auto& x = a.sequence().items;
    const auto& y = b.sequence().items;
    heap.expect((x.size() + y.size()) * sizeof(Value));
    heap.step(x.size() + y.size());
    std::vector<Value> items(x);
    items.insert(items.end(), y.begin(), y.end());
    return list ? make_list(heap, std::move(items)) : make_tuple(heap, std::move(items));
  }
  unsupported_operands("+", a, b);
}

Value repeat_text(Heap& heap, const Text& text, int64_t times) {
  const auto size = checked_mul<uint64_t>(text.bytes.size(), static_cast<uint64_t>(std::max<int64_t>(times, 0)));
  heap.expect(size.value_or(UINT64_MAX));
  std::string out;
  out.reserve(*size);
  for (int64_t i = 0; i < times && !text.bytes.empty(); ++i) out += text.bytes;
  return make_text(heap, std::move(out), text.markup);
}

Value repeat_sequence(Heap& heap, const Sequence& sequence, int64_t times) {
  const auto n =
      checked_mul<uint64_t>(sequence.items.size() * sizeof(Value), static_cast<uint64_t>(std::max<int64_t>(times, 0)));
  heap.expect(n.value_or(UINT64_MAX));
  heap.step(*n / sizeof(Value));
  std::vector<Value> items;
  for (int64_t i = 0; i < times && !sequence.items.empty(); ++i)
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  return sequence.is_list() ? make_list(heap, std::move(items)) : make_tuple(heap, std::move(items));
}

bool is_repeatable(const Value& value) {
  return value.is_text() ||
         (value.is(Value::Kind::sequence) && (value.sequence().is_list() || value.sequence().is_tuple()));
}

Value multiply(Heap& heap, const Value& a, const Value& b) {
  const bool left = is_repeatable(a);
  const Value& what = left ? a : b;
  const Value& times = left ? b : a;
  if (!is_repeatable(what)) unsupported_operands("*", a, b);
  if (!times.is_integral()) raise("TypeError", "can't multiply sequence by non-int of type '{}'", type_name(times));
  if (times.is_wide()) overflow();
  if (what.is_text()) return repeat_text(heap, what.text(), times.integer());
  return repeat_sequence(heap, what.sequence(), times.integer());
}

bool contains_text(Heap& heap, const Text& text, const Value& item) {
  if (!item.is_text()) raise("TypeError", "'in <string>' requires string as left operand, not {}", type_name(item));
  heap.step(text.bytes.size() / 64);
  return text.bytes.find(item.string()) != std::string::npos;
}

bool contains_range(const Range& range, const Value& item) {
  if (!item.is_number() || item.is_wide() || range.length == 0) return false;
  const double value = item.number();
  if (value != std::floor(value) || std::fabs(value) > 9e15) return false;
  const auto integer = static_cast<int64_t>(value);
  const int64_t last = range.start + static_cast<int64_t>(range.length - 1) * range.step;
  if (integer < std::min(range.start, last) || integer > std::max(range.start, last)) return false;
  return (integer - range.start) % range.step == 0;
}

/// The element at `index`, negative from the end; nothing where there is none.
std::optional<size_t> position(int64_t index, size_t length) {
  const auto n = static_cast<int64_t>(length);
  if (index < 0) index += n;
  if (index < 0 || index >= n) return std::nullopt;
  return static_cast<size_t>(index);
}

Value character(Heap& heap, const Text& text, size_t index) {
  const size_t begin = text.ascii() ? index : byte_offset(text.bytes, index);
  size_t end = begin;
  next_code_point(text.bytes, end);
  heap.step(begin / 64);
  return make_text(heap, text.bytes.substr(begin, end - begin), text.markup);
}

/// value[key] as Python has it; nothing where Python raises a LookupError or a TypeError.
std::optional<Value> element(Runtime& runtime, const Value& value, const Value& key) {
  if (value.is(Value::Kind::dict)) {
    if (const Value* found = value.dict().find(runtime.heap, key)) return *found;
    return std::nullopt;
  }
  if (!key.is_integral() || key.is_wide()) return std::nullopt;
  if (value.is_text()) {
    if (const auto i = position(key.integer(), value.text().length)) return character(runtime.heap, value.text(), *i);
  } else if (value.is(Value::Kind::sequence) && (value.sequence().is_list() || value.sequence().is_tuple())) {
    if (const auto i = position(key.integer(), value.sequence().items.size())) return value.sequence().items[*i];
  } else if (value.is(Value::Kind::range)) {
    if (const auto i = position(key.integer(), value.range().length)) return value.range().at(*i);
  }
  return std::nullopt;
}

/// value.name as Python has it: methods and attributes, not elements.
std::optional<Value> attribute(Runtime& runtime, const Value& value, std::string_view name) {
  if (value.is(Value::Kind::space)) {
    if (const Value* found = value.space().find(name)) return *found;
    return std::nullopt;
  }
  if (value.is(Value::Kind::function)) {
    if (!value.function().attribute) return std::nullopt;
    Value found = value.function().attribute(name);
    if (found.is_undefined() && !found.object()) return std::nullopt;
    return found;
  }
  if (value.is(Value::Kind::sequence) && value.sequence().type == kGroupType) {
    if (name == "grouper") return value.sequence().items[0];
    if (name == "list") return value.sequence().items[1];
  }
  if (!has_method(value, name)) return std::nullopt;
  const std::string method(name);
  Heap& heap = runtime.heap;
  return make_function(
      heap, "builtin_function_or_method", fmt::format("<built-in method {} of {} object>", name, type_name(value)),
      [&runtime, value, method](Arguments& arguments) { return call_method(runtime, value, method, arguments); });
}

std::string object_repr(const Value& value) {
  return value.is_none() ? "None" : std::string(type_name(value)) + " object";
}

Value no_attribute(Runtime& runtime, const Value& value, std::string_view name) {
  return make_undefined(runtime.heap, fmt::format("{} has no attribute {}", quote(object_repr(value)), quote(name)));
}

}  // namespace

Value arithmetic(Heap& heap, std::string_view op, const Value& a, const Value& b) {
  heap.step();
  if (a.is_text() && op == "%") return format_percent(heap, a.text(), b);
  if (a.is_undefined()) raise_undefined(a);
  if (b.is_undefined()) raise_undefined(b);
  if (a.is_number() && b.is_number()) return numbers(op, a, b);
  if (op == "+") return add(heap, a, b);
  if (op == "*") return multiply(heap, a, b);
  unsupported_operands(op, a, b);
}

Value negate(const Value& value) {
  if (value.is_undefined()) raise_undefined(value);
  if (value.is(Value::Kind::real)) return Value::of(-value.real());
  if (!value.is_integral()) raise("TypeError", "bad operand type for unary -: '{}'", type_name(value));
  if (value.is_wide()) overflow();
  return Value::of(checked_sub(0, value.integer()));
}

Value posit(const Value& value) {
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is_number()) raise("TypeError", "bad operand type for unary +: '{}'", type_name(value));
  return value.is(Value::Kind::boolean) ? Value::of(value.integer()) : value;
}

bool compare(Heap& heap, std::string_view op, const Value& a, const Value& b) {
  if (op == "==") return equal(heap, a, b);
  if (op == "!=") return !equal(heap, a, b);
  if (op == "in") return contains(heap, b, a);
  if (op == "not in") return !contains(heap, b, a);
  if (op == "<") return less(heap, a, b, op);
  if (op == ">") {
    // less() names the types in the order it gets them; Python names them as they stand.
    if (a.is_number() && b.is_number()) return less(heap, b, a, op);
    return !equal(heap, a, b) && !less(heap, a, b, op);
  }
  const bool same = equal(heap, a, b);
  if (same && a.is_number()) return true;
  const bool before = less(heap, a, b, op);
  if (op == "<=") return same || before;
  if (a.is_number() && b.is_number()) return less(heap, b, a, op);
  return same || !before;
}

bool contains(Heap& heap, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Value::Kind::undefined:
      return false;
    case Value::Kind::text:
      return contains_text(heap, container.text(), item);
    case Value::Kind::dict:
      return container.dict().find(heap, item) != nullptr;
    case Value::Kind::range:
      return contains_range(container.range(), item);
    case Value::Kind::sequence:
      break;
    default:
      raise("TypeError", "argument of type '{}' is not iterable", type_name(container));
  }
  if (container.sequence().is_generator()) {
    // Python looks no further than the element it seeks, and what it saw is gone.
    Sequence& generator = container.mutable_sequence();
    while (generator.consumed < generator.items.size()) {
      if (equal(heap, generator.items[generator.consumed++], item)) return true;
    }
    return false;
  }
  const auto& items = container.sequence().items;
  return std::any_of(items.begin(), items.end(), [&](const Value& other) { return equal(heap, other, item); });
}

Value get_attribute(Runtime& runtime, const Value& value, std::string_view name) {
  runtime.heap.step();
  if (value.is_undefined()) raise_undefined(value);
  if (auto found = attribute(runtime, value, name)) return *std::move(found);
  if (value.is(Value::Kind::dict)) {
    if (const Value* found = value.dict().find(name)) return *found;
  }
  return no_attribute(runtime, value, name);
}

Value get_item(Runtime& runtime, const Value& value, const Value& key) {
  runtime.heap.step();
  if (value.is_undefined()) raise_undefined(value);
  if (auto found = element(runtime, value, key)) return *std::move(found);
  if (key.is_text()) {
    if (auto found = attribute(runtime, value, key.string())) return *std::move(found);
    return no_attribute(runtime, value, key.string());
  }
  return make_undefined(runtime.heap,
                        fmt::format("{} has no element {}", object_repr(value), to_repr(runtime.heap, key)));
}

namespace {

/// The indices of a slice, as Python's slice.indices().
struct Slice {
  int64_t start, stop, step;
  size_t count;
};

int64_t slice_bound(const Value& value, int64_t length, int64_t step, int64_t fallback) {
  if (value.is_none()) return fallback;
  if (value.is_undefined()) raise("TypeError", "slice indices must be integers or None or have an __index__ method");
  if (!value.is_integral()) raise("TypeError", "slice indices must be integers or None or have an __index__ method");
  int64_t index = value.is_wide() ? INT64_MAX : value.integer();
  if (index < 0) return std::max<int64_t>(index + length, step < 0 ? -1 : 0);
  return std::min<int64_t>(index, step < 0 ? length - 1 : length);
}

Slice resolve(const Value& start, const Value& stop, const Value& step, size_t size) {
  const auto n = static_cast<int64_t>(size);
  Slice out{};
  if (!step.is_none() && !step.is_integral())
    raise("TypeError", "slice indices must be integers or None or have an __index__ method");
  out.step = step.is_none() ? 1 : std::clamp<int64_t>(step.integer(), -(INT64_MAX / 2), INT64_MAX / 2);
  if (out.step == 0) raise("ValueError", "slice step cannot be zero");
  out.start = slice_bound(start, n, out.step, out.step < 0 ? n - 1 : 0);
  out.stop = slice_bound(stop, n, out.step, out.step < 0 ? -1 : n);
  const int64_t span = out.step > 0 ? out.stop - out.start : out.start - out.stop;
  const int64_t stride = out.step > 0 ? out.step : -out.step;
  out.count = span > 0 ? static_cast<size_t>((span - 1) / stride + 1) : 0;
  return out;
}

Value slice_text(Heap& heap, const Text& text, const Slice& slice) {
  heap.step(text.bytes.size() / 64);
  if (slice.step == 1) {
    const auto first = static_cast<size_t>(slice.start);
    if (text.ascii()) return make_text(heap, text.bytes.substr(first, slice.count), text.markup);
    const size_t begin = byte_offset(text.bytes, first);
    const std::string_view rest = std::string_view(text.bytes).substr(begin);
    return make_text(heap, std::string(rest.substr(0, byte_offset(rest, slice.count))), text.markup);
  }
  heap.expect(text.length * sizeof(uint32_t));
  std::vector<uint32_t> points;
  points.reserve(text.length);
  for (size_t pos = 0; pos < text.bytes.size();) points.push_back(next_code_point(text.bytes, pos));
  std::string out;
  for (size_t i = 0; i < slice.count; ++i)
    append_utf8(out, points[static_cast<size_t>(slice.start + static_cast<int64_t>(i) * slice.step)]);
  return make_text(heap, std::move(out), text.markup);
}

}  // namespace

Value get_slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop, const Value& step) {
  Heap& heap = runtime.heap;
  heap.step();
  if (value.is_undefined()) raise_undefined(value);
  if (value.is_text()) return slice_text(heap, value.text(), resolve(start, stop, step, value.text().length));
  if (value.is(Value::Kind::range)) {
    const Range& range = value.range();
    const Slice slice = resolve(start, stop, step, range.length);
    // Bounds that no element reaches may lie beyond 64 bits; they wrap, and nothing reads them.
    const auto scaled = [](int64_t a, int64_t b) {
      return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    };
    const auto at = [&](int64_t i) {
      return static_cast<int64_t>(static_cast<uint64_t>(range.start) + static_cast<uint64_t>(scaled(i, range.step)));
    };
    return {Value::Kind::range, std::make_shared<Range>(heap, at(slice.start), at(slice.stop),
                                                        scaled(range.step, slice.step), slice.count)};
  }
  if (value.is(Value::Kind::sequence) && (value.sequence().is_list() || value.sequence().is_tuple())) {
    const auto& items = value.sequence().items;
    const Slice slice = resolve(start, stop, step, items.size());
    heap.expect(slice.count * sizeof(Value));
    heap.step(slice.count);
    std::vector<Value> out;
    for (size_t i = 0; i < slice.count; ++i)
      out.push_back(items[static_cast<size_t>(slice.start + static_cast<int64_t>(i) * slice.step)]);
    return value.sequence().is_list() ? make_list(heap, std::move(out)) : make_tuple(heap, std::move(out));
  }
  if (value.is(Value::Kind::dict)) {
    raise("KeyError", "slice({}, {}, {})", to_repr(heap, start), to_repr(heap, stop), to_repr(heap, step));
  }
  raise("TypeError", "'{}' object is not subscriptable", type_name(value));
}

}  // namespace kinglet::jinja
