// Tests: what can stand behind "is".
#include <algorithm>
#include <iterator>

#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

using Kind = Value::Kind;

struct Call {
  Runtime& runtime;
  const Value& value;
  std::string_view name;
  Arguments& arguments;
  Heap& heap() const { return runtime.heap; }
};

/// Tests of the value alone, by its kind.
bool of_kind(const Call& call) {
  const Value& v = call.value;
  const std::string_view n = call.name;
  if (n == "defined") return !v.is_undefined();
  if (n == "undefined") return v.is_undefined();
  if (n == "none") return v.is_none();
  if (n == "boolean") return v.is(Kind::boolean);
  if (n == "true") return v.is(Kind::boolean) && v.boolean();
  if (n == "false") return v.is(Kind::boolean) && !v.boolean();
  if (n == "integer") return v.is(Kind::integer);
  if (n == "float") return v.is(Kind::real);
  if (n == "number") return v.is_number();
  if (n == "string") return v.is_text();
  if (n == "mapping") return v.is(Kind::dict);
  if (n == "iterable") return is_iterable(v);
  if (n == "callable") return v.is(Kind::function) ? static_cast<bool>(v.function().call) : v.is_undefined();
  return v.is_text() && v.text().markup;  // escaped
}

bool sequence(const Call& call) {
  const Value& v = call.value;
  if (v.is(Kind::sequence)) return v.sequence().is_list() || v.sequence().is_tuple();
  return v.is_text() || v.is(Kind::dict) || v.is(Kind::range) || v.is_undefined();
}

bool divisible(const Call& call) {
  const Value divisor = call.name == "divisibleby" ? call.arguments.positional.front() : Value::of(2);
  const Value rest = arithmetic(call.heap(), "%", call.value, divisor);
  return equal(call.heap(), rest, Value::of(call.name == "odd" ? 1 : 0));
}

bool comparison(const Call& call) {
  static constexpr std::pair<std::string_view, std::string_view> kOps[] = {
      {"eq", "=="}, {"equalto", "=="}, {"ne", "!="},      {"gt", ">"}, {"greaterthan", ">"},
      {"ge", ">="}, {"lt", "<"},       {"lessthan", "<"}, {"le", "<="}};
  std::string_view op = call.name;
  for (const auto& [name, symbol] : kOps) {
    if (name == op) op = symbol;
  }
  return compare(call.heap(), op, call.value, call.arguments.positional.front());
}

bool same(const Call& call) {
  const Value& other = call.arguments.positional.front();
  if (call.value.kind() != other.kind()) return false;
  if (call.value.object() || other.object()) return call.value.object() == other.object();
  return equal(call.heap(), call.value, other);
}

bool letter_case(const Call& call) {
  Arguments none;
  const Value text = make_text(call.heap(), to_str(call.heap(), call.value));
  return truth(call_method(call.runtime, text, call.name == "lower" ? "islower" : "isupper", none));
}

bool known(const Call& call) {
  if (!call.value.is_text()) return false;
  return call.name == "filter" ? is_filter(call.value.string()) : is_test(call.value.string());
}

struct Test {
  std::string_view name;
  bool (*apply)(const Call&);
  size_t arguments;
};

constexpr Test kTests[] = {
    {"!=", comparison, 1},          {"<", comparison, 1},      {"<=", comparison, 1},
    {"==", comparison, 1},          {">", comparison, 1},      {">=", comparison, 1},
    {"boolean", of_kind, 0},        {"callable", of_kind, 0},  {"defined", of_kind, 0},
    {"divisibleby", divisible, 1},  {"eq", comparison, 1},     {"equalto", comparison, 1},
    {"escaped", of_kind, 0},        {"even", divisible, 0},    {"false", of_kind, 0},
    {"filter", known, 0},           {"float", of_kind, 0},     {"ge", comparison, 1},
    {"greaterthan", comparison, 1}, {"gt", comparison, 1},     {"in", nullptr, 1},
    {"integer", of_kind, 0},        {"iterable", of_kind, 0},  {"le", comparison, 1},
    {"lessthan", comparison, 1},    {"lower", letter_case, 0}, {"lt", comparison, 1},
    {"mapping", of_kind, 0},        {"ne", comparison, 1},     {"none", of_kind, 0},
    {"number", of_kind, 0},         {"odd", divisible, 0},     {"sameas", same, 1},
    {"sequence", sequence, 0},      {"string", of_kind, 0},    {"test", known, 0},
    {"true", of_kind, 0},           {"undefined", of_kind, 0}, {"upper", letter_case, 0},
};

const Test* find_test(std::string_view name) {
  const auto it =
      std::find_if(std::begin(kTests), std::end(kTests), [name](const Test& test) { return test.name == name; });
  return it == std::end(kTests) ? nullptr : &*it;
}

}  // namespace

bool is_test(std::string_view name) { return find_test(name) != nullptr; }

bool apply_test(Runtime& runtime, std::string_view name, const Value& value, Arguments& arguments) {
  const Test* test = find_test(name);
  runtime.heap.step();
  // A test takes what it names by position; a keyword is bound as if it stood there.
  for (auto& [key, argument] : arguments.named) arguments.positional.push_back(std::move(argument));
  arguments.named.clear();
  if (arguments.positional.size() != test->arguments) {
    raise("TypeError", "test '{}' takes {} argument(s), not {}", name, test->arguments, arguments.positional.size());
  }
  if (name == "in") return contains(runtime.heap, arguments.positional.front(), value);
  return test->apply(Call{runtime, value, name, arguments});
}

}  // namespace kinglet::jinja
