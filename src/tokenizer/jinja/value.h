// Values of a template: Python's, as far as templates can see them. All but namespaces, loops and generators are
// immutable, as in jinja2's immutable sandbox.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "formats/json.h"
#include "tokenizer/jinja/heap.h"

namespace kinglet::jinja {

struct Text;
struct Sequence;
struct Dict;
struct Range;
struct Space;
struct Function;
struct Missing;

class Value {
 public:
  enum class Kind : uint8_t { undefined, none, boolean, integer, real, text, sequence, dict, range, space, function };

  Value() = default;  ///< undefined without a name
  static Value none() { return Value(Kind::none); }
  static Value of(bool value);
  static Value of(int64_t value);
  static Value of(size_t value) { return of(static_cast<int64_t>(value)); }
  static Value of(int value) { return of(static_cast<int64_t>(value)); }
  static Value of(double value);
  Value(Kind kind, std::shared_ptr<Object> object) : kind_(kind), object_(std::move(object)) {}

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_text() const { return kind_ == Kind::text; }
  bool is_number() const { return kind_ == Kind::boolean || kind_ == Kind::integer || kind_ == Kind::real; }
  /// True of integers and of booleans, which are integers in Python.
  bool is_integral() const { return kind_ == Kind::boolean || kind_ == Kind::integer; }
  /// An integer beyond 64 bits from the input: it can be printed and passed on, not computed with.
  bool is_wide() const { return kind_ == Kind::integer && object_ != nullptr; }

  // Each asks for the right kind; the caller has looked.
  bool boolean() const { return integer_ != 0; }
  int64_t integer() const { return integer_; }
  double real() const { return real_; }
  double number() const { return kind_ == Kind::real ? real_ : static_cast<double>(integer_); }
  const Text& text() const;
  const std::string& string() const;
  const Sequence& sequence() const;
  Sequence& mutable_sequence() const;
  const Dict& dict() const;
  const Range& range() const;
  Space& space() const;
  const Function& function() const;
  const Text& wide() const;
  const Missing* missing() const;
  const Object* object() const { return object_.get(); }
  const std::shared_ptr<Object>& shared_object() const { return object_; }

 private:
  explicit Value(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::undefined;
  union {
    int64_t integer_ = 0;
    double real_;
  };
  std::shared_ptr<Object> object_;
};

/// UTF-8, counted in code points as Python does.
struct Text : Object {
  Text(Heap& heap, std::string text, bool markup_text);
  std::string bytes;
  size_t length;  ///< code points
  bool markup;    ///< came through |safe or |escape: what is added to it is escaped
  bool ascii() const { return length == bytes.size(); }
};

/// Everything that holds elements by position.
struct Sequence : Object {
  enum class Flavour : uint8_t { list, tuple, keys, values, items, generator };
  Sequence(Heap& heap, Flavour sequence_flavour, std::vector<Value> values, const char* generator_type);
  Flavour flavour;
  const char* type;  ///< what Python calls it
  int depth;         ///< of nested containers, 1 for a flat one
  std::vector<Value> items;
  size_t consumed = 0;  ///< generators: how many elements were taken already

  bool is_list() const { return flavour == Flavour::list; }
  bool is_tuple() const { return flavour == Flavour::tuple; }
  bool is_generator() const { return flavour == Flavour::generator; }
};

/// The type of what groupby gives: pairs whose parts are also called grouper and list.
inline constexpr char kGroupType[] = "_GroupTuple";

/// A dict in the order of its first insertions.
struct Dict : Object {
  using Entry = std::pair<Value, Value>;
  Dict(Heap& heap, std::vector<Entry> pairs);
  std::vector<Entry> entries;
  int depth;

  const Value* find(Heap& heap, const Value& key) const;
  const Value* find(std::string_view key) const;

 private:
  std::unordered_multimap<size_t, size_t> index_;  ///< hash to entry, for dicts too large to scan
};

struct Range : Object {
  Range(Heap& heap, int64_t from, int64_t to, int64_t by, size_t size)
      : Object(heap, sizeof(Range)), start(from), stop(to), step(by), length(size) {}
  int64_t start, stop, step;
  size_t length;
  Value at(size_t i) const { return Value::of(start + static_cast<int64_t>(i) * step); }
};

/// namespace(): the one thing a template can assign to.
struct Space : Object {
  explicit Space(Heap& heap) : Object(heap, sizeof(Space)) {}
  std::vector<std::pair<std::string, Value>> attributes;
  const Value* find(std::string_view name) const;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Whatever can be called, and objects with attributes (a loop, a cycler).
struct Function : Object {
  using Body = std::function<Value(Arguments&)>;
  using Attribute = std::function<Value(std::string_view)>;
  Function(Heap& heap, std::string type_name, std::string text)
      : Object(heap, sizeof(Function)), type(std::move(type_name)), repr(std::move(text)) {}
  std::string type;     ///< what Python calls its type
  std::string repr;     ///< how it prints
  Body call;            ///< empty: it cannot be called
  Attribute attribute;  ///< undefined for an unknown name; empty: it has none
};

/// Why a value is undefined: the error of whoever uses it.
struct Missing : Object {
  Missing(Heap& heap, std::string reason, std::string type)
      : Object(heap, sizeof(Missing)), message(std::move(reason)), error(std::move(type)) {}
  std::string message;
  std::string error;  ///< UndefinedError or SecurityError
};

Value make_text(Heap& heap, std::string bytes, bool markup = false);
Value make_list(Heap& heap, std::vector<Value> items);
Value make_tuple(Heap& heap, std::vector<Value> items);
Value make_view(Heap& heap, Sequence::Flavour flavour, std::vector<Value> items);
/// Something Python would compute while it is iterated: it can be run through once. `type` is its name there.
Value make_generator(Heap& heap, std::vector<Value> items, const char* type = "generator");
Value make_dict(Heap& heap, std::vector<Dict::Entry> entries);
Value make_function(Heap& heap, std::string type, std::string repr, Function::Body body);
Value make_undefined(Heap& heap, std::string message, std::string error = "UndefinedError");
Value from_json(Heap& heap, const Json& json);

/// Fails with the error of an undefined value.
[[noreturn]] void raise_undefined(const Value& value);

std::string_view type_name(const Value& value);  ///< Python's: "str", "int", "NoneType", "dict", ...
bool truth(const Value& value);
bool equal(Heap& heap, const Value& a, const Value& b);
/// a < b; fails with a TypeError that names `op` where Python has no order for the two.
bool less(Heap& heap, const Value& a, const Value& b, std::string_view op = "<");
/// A hash that agrees with equal(); fails where Python has none (lists, dicts).
size_t hash(const Value& value);
/// Python's len(); fails where there is none.
size_t length(const Value& value);
/// The elements that iterating gives (a generator is used up); fails where the value cannot be iterated.
std::vector<Value> iterate(Heap& heap, const Value& value);
bool is_iterable(const Value& value);

}  // namespace kinglet::jinja
