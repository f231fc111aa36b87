#include "tokenizer/jinja/value.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

constexpr int kMaxNesting = 500;        // of containers: what walks values recurses that deep
constexpr size_t kScannedEntries = 12;  // dicts up to this size are searched from the front

int nesting(const Value& value) {
  if (value.is(Value::Kind::sequence)) return value.sequence().depth;
  if (value.is(Value::Kind::dict)) return value.dict().depth;
  return 0;
}

int checked_nesting(int inner) {
  if (inner >= kMaxNesting) raise_limit("the template nests values more than {} deep", kMaxNesting);
  return inner + 1;
}

size_t mix(size_t a, size_t b) { return a ^ (b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2)); }

/// Numbers that are equal hash alike, whatever their type.
size_t hash_number(double value) { return std::hash<double>{}(value == 0 ? 0.0 : value); }

bool equal_elements(Heap& heap, const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!equal(heap, a[i], b[i])) return false;
  }
  return true;
}

bool equal_dicts(Heap& heap, const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = b.find(heap, key);
    if (!other || !equal(heap, value, *other)) return false;
  }
  return true;
}

bool equal_numbers(const Value& a, const Value& b) {
  if (a.is_wide() || b.is_wide()) return a.is_wide() && b.is_wide() && a.wide().bytes == b.wide().bytes;
  if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
  return a.number() == b.number();
}

bool equal_sequences(Heap& heap, const Sequence& a, const Sequence& b) {
  if (&a == &b) return true;
  if (a.is_generator() || a.flavour != b.flavour) return false;
  return equal_elements(heap, a.items, b.items);
}

void forbid_wide(const Value& value) {
  if (value.is_wide()) raise("OverflowError", "integers beyond 64 bits are outside the subset");
}

}  // namespace

Value Value::of(bool value) {
  Value out(Kind::boolean);
  out.integer_ = value ? 1 : 0;
  return out;
}
Value Value::of(int64_t value) {
  Value out(Kind::integer);
  out.integer_ = value;
  return out;
}
Value Value::of(double value) {
  Value out(Kind::real);
  out.real_ = value;
  return out;
}

const Text& Value::text() const { return static_cast<const Text&>(*object_); }
const std::string& Value::string() const { return text().bytes; }
const Sequence& Value::sequence() const { return static_cast<const Sequence&>(*object_); }
Sequence& Value::mutable_sequence() const { return static_cast<Sequence&>(*object_); }
const Dict& Value::dict() const { return static_cast<const Dict&>(*object_); }
const Range& Value::range() const { return static_cast<const Range&>(*object_); }
Space& Value::space() const { return static_cast<Space&>(*object_); }
const Function& Value::function() const { return static_cast<const Function&>(*object_); }
const Text& Value::wide() const { return static_cast<const Text&>(*object_); }
const Missing* Value::missing() const { return static_cast<const Missing*>(object_.get()); }

Text::Text(Heap& heap, std::string text, bool markup_text)
    : Object(heap, sizeof(Text) + text.size()),
      bytes(std::move(text)),
      length(count_code_points(bytes)),
      markup(markup_text) {}

Sequence::Sequence(Heap& heap, Flavour sequence_flavour, std::vector<Value> values, const char* generator_type)
    : Object(heap, sizeof(Sequence) + values.size() * sizeof(Value)),
      flavour(sequence_flavour),
      type(generator_type),
      depth(1),
      items(std::move(values)) {
  int inner = 0;
  for (const Value& item : items) inner = std::max(inner, nesting(item));
  depth = checked_nesting(inner);
}

Dict::Dict(Heap& heap, std::vector<Entry> pairs)
    : Object(heap, sizeof(Dict) + 2 * pairs.size() * sizeof(Entry)), depth(1) {
  int inner = 0;
  std::unordered_multimap<size_t, size_t> seen;
  for (Entry& pair : pairs) {
    inner = std::max(inner, nesting(pair.second));
    const size_t code = hash(pair.first);
    bool found = false;
    for (auto [it, end] = seen.equal_range(code); it != end && !found; ++it) {
      if (!equal(heap, entries[it->second].first, pair.first)) continue;
      entries[it->second].second = std::move(pair.second);  // a later value takes the first one's place, as in Python
      found = true;
    }
    if (found) continue;
    seen.emplace(code, entries.size());
    entries.push_back(std::move(pair));
  }
  if (entries.size() > kScannedEntries) index_ = std::move(seen);
  depth = checked_nesting(inner);
}

const Value* Dict::find(Heap& heap, const Value& key) const {
  if (key.is_text()) return find(key.string());
  const size_t code = hash(key);
  if (index_.empty()) {
    for (const Entry& entry : entries) {
      if (equal(heap, entry.first, key)) return &entry.second;
    }
    return nullptr;
  }
  for (auto [it, end] = index_.equal_range(code); it != end; ++it) {
    if (equal(heap, entries[it->second].first, key)) return &entries[it->second].second;
  }
  return nullptr;
}

const Value* Dict::find(std::string_view key) const {
  const auto matches = [&](const Entry& entry) { return entry.first.is_text() && entry.first.string() == key; };
  if (index_.empty()) {
    const auto it = std::find_if(entries.begin(), entries.end(), matches);
    return it == entries.end() ? nullptr : &it->second;
  }
  for (auto [it, end] = index_.equal_range(std::hash<std::string_view>{}(key)); it != end; ++it) {
    if (matches(entries[it->second])) return &entries[it->second].second;
  }
  return nullptr;
}

const Value* Space::find(std::string_view name) const {
  for (const auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

Value make_text(Heap& heap, std::string bytes, bool markup) {
  heap.step(bytes.size() / 64);
  return {Value::Kind::text, std::make_shared<Text>(heap, std::move(bytes), markup)};
}

Value make_list(Heap& heap, std::vector<Value> items) {
  return {Value::Kind::sequence, std::make_shared<Sequence>(heap, Sequence::Flavour::list, std::move(items), "list")};
}

Value make_tuple(Heap& heap, std::vector<Value> items) {
  return {Value::Kind::sequence, std::make_shared<Sequence>(heap, Sequence::Flavour::tuple, std::move(items), "tuple")};
}

Value make_view(Heap& heap, Sequence::Flavour flavour, std::vector<Value> items) {
  const char* type = flavour == Sequence::Flavour::keys     ? "dict_keys"
                     : flavour == Sequence::Flavour::values ? "dict_values"
                                                            : "dict_items";
  return {Value::Kind::sequence, std::make_shared<Sequence>(heap, flavour, std::move(items), type)};
}

Value make_generator(Heap& heap, std::vector<Value> items, const char* type) {
  return {Value::Kind::sequence,
          std::make_shared<Sequence>(heap, Sequence::Flavour::generator, std::move(items), type)};
}

Value make_dict(Heap& heap, std::vector<Dict::Entry> entries) {
  return {Value::Kind::dict, std::make_shared<Dict>(heap, std::move(entries))};
}

Value make_function(Heap& heap, std::string type, std::string repr, Function::Body body) {
  auto function = std::make_shared<Function>(heap, std::move(type), std::move(repr));
  function->call = std::move(body);
  return {Value::Kind::function, std::move(function)};
}

Value make_undefined(Heap& heap, std::string message, std::string error) {
  return {Value::Kind::undefined, std::make_shared<Missing>(heap, std::move(message), std::move(error))};
}

Value from_json(Heap& heap, const Json& json) {
  const Heap::Level level(heap);
  switch (json.type()) {
    case Json::value_t::null:
      return Value::none();
    case Json::value_t::boolean:
      return Value::of(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::of(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)) return Value::of(json.get<int64_t>());
      return {Value::Kind::integer, std::make_shared<Text>(heap, std::to_string(json.get<uint64_t>()), false)};
    case Json::value_t::number_float:
      return Value::of(json.get<double>());
    case Json::value_t::string:
      return make_text(heap, json.get_ref<const std::string&>());
    case Json::value_t::array: {
      std::vector<Value> items;
      for (const Json& item : json) items.push_back(from_json(heap, item));
      return make_list(heap, std::move(items));
    }
    case Json::value_t::object: {
      std::vector<Dict::Entry> entries;
      for (const auto& [key, value] : json.items()) entries.emplace_back(make_text(heap, key), from_json(heap, value));
      return make_dict(heap, std::move(entries));
    }
    default:
      raise("TypeError", "the input holds something that is not JSON");
  }
}

void raise_undefined(const Value& value) {
  const Missing* missing = value.missing();
  if (!missing) raise("UndefinedError", "value is undefined");
  throw Failure{Code::invalid_argument, 0, missing->error + ": " + missing->message};
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::undefined:
      return "Undefined";
    case Value::Kind::none:
      return "NoneType";
    case Value::Kind::boolean:
      return "bool";
    case Value::Kind::integer:
      return "int";
    case Value::Kind::real:
      return "float";
    case Value::Kind::text:
      return value.text().markup ? "Markup" : "str";
    case Value::Kind::sequence:
      return value.sequence().type;
    case Value::Kind::dict:
      return "dict";
    case Value::Kind::range:
      return "range";
    case Value::Kind::space:
      return "Namespace";
    case Value::Kind::function:
      return value.function().type;
  }
  return "object";
}

bool truth(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::undefined:
    case Value::Kind::none:
      return false;
    case Value::Kind::boolean:
      return value.boolean();
    case Value::Kind::integer:
      return value.is_wide() || value.integer() != 0;
    case Value::Kind::real:
      return value.real() != 0;
    case Value::Kind::text:
      return !value.string().empty();
    case Value::Kind::sequence:
      return value.sequence().is_generator() || !value.sequence().items.empty();
    case Value::Kind::dict:
      return !value.dict().entries.empty();
    case Value::Kind::range:
      return value.range().length != 0;
    case Value::Kind::space:
    case Value::Kind::function:
      return true;
  }
  return true;
}

bool equal(Heap& heap, const Value& a, const Value& b) {
  const Heap::Level level(heap);
  heap.step();
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::undefined:
    case Value::Kind::none:
      return true;
    case Value::Kind::text:
      heap.step(a.string().size() / 64);
      return a.string() == b.string();
    case Value::Kind::sequence:
      return equal_sequences(heap, a.sequence(), b.sequence());
    case Value::Kind::dict:
      return equal_dicts(heap, a.dict(), b.dict());
    case Value::Kind::range:
      return a.range().length == b.range().length &&
             (a.range().length == 0 ||
              (a.range().start == b.range().start && (a.range().length == 1 || a.range().step == b.range().step)));
    default:
      return a.object() == b.object();
  }
}

bool less(Heap& heap, const Value& a, const Value& b, std::string_view op) {
  const Heap::Level level(heap);
  heap.step();
  if (a.is_undefined()) raise_undefined(a);
  if (b.is_undefined()) raise_undefined(b);
  if (a.is_number() && b.is_number()) {
    forbid_wide(a);
    forbid_wide(b);
    if (a.is_integral() && b.is_integral()) return a.integer() < b.integer();
    return a.number() < b.number();
  }
  if (a.is_text() && b.is_text()) return a.string() < b.string();  // UTF-8 sorts as its code points do
  if (a.is(Value::Kind::sequence) && b.is(Value::Kind::sequence) && a.sequence().flavour == b.sequence().flavour &&
      (a.sequence().is_list() || a.sequence().is_tuple())) {
    const auto& x = a.sequence().items;
    const auto& y = b.sequence().items;
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(heap, x[i], y[i])) return less(heap, x[i], y[i], op);
    }
    return x.size() < y.size();
  }
  raise("TypeError", "'{}' not supported between instances of '{}' and '{}'", op, type_name(a), type_name(b));
}

size_t hash(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::undefined:
      return 1;
    case Value::Kind::none:
      return 2;
    case Value::Kind::boolean:
    case Value::Kind::integer:
      return value.is_wide() ? std::hash<std::string>{}(value.wide().bytes) : hash_number(value.number());
    case Value::Kind::real:
      return hash_number(value.real());
    case Value::Kind::text:
      return std::hash<std::string_view>{}(value.string());
    case Value::Kind::sequence: {
      if (!value.sequence().is_tuple()) break;
      size_t code = 3;
      for (const Value& item : value.sequence().items) code = mix(code, hash(item));
      return code;
    }
    case Value::Kind::range:
      return mix(value.range().length, 4);
    case Value::Kind::space:
    case Value::Kind::function:
      return std::hash<const void*>{}(value.object());
    case Value::Kind::dict:
      break;
  }
  raise("TypeError", "unhashable type: '{}'", type_name(value));
}

size_t length(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::undefined:
      return 0;
    case Value::Kind::text:
      return value.text().length;
    case Value::Kind::sequence:
      if (value.sequence().is_generator()) break;
      return value.sequence().items.size();
    case Value::Kind::dict:
      return value.dict().entries.size();
    case Value::Kind::range:
      return value.range().length;
    default:
      break;
  }
  raise("TypeError", "object of type '{}' has no len()", type_name(value));
}

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::undefined:
    case Value::Kind::text:
    case Value::Kind::sequence:
    case Value::Kind::dict:
    case Value::Kind::range:
      return true;
    default:
      return false;
  }
}

namespace {

std::vector<Value> characters(Heap& heap, const Text& text) {
  heap.expect(text.length * (sizeof(Value) + sizeof(Text)));
  std::vector<Value> out;
  out.reserve(text.length);
  for (size_t pos = 0; pos < text.bytes.size();) {
    const size_t begin = pos;
    next_code_point(text.bytes, pos);
    out.push_back(make_text(heap, text.bytes.substr(begin, pos - begin), text.markup));
  }
  return out;
}

std::vector<Value> drain(Sequence& generator) {
  std::vector<Value> rest(generator.items.begin() + static_cast<std::ptrdiff_t>(generator.consumed),
                          generator.items.end());
  generator.consumed = generator.items.size();
  return rest;
}

}  // namespace

std::vector<Value> iterate(Heap& heap, const Value& value) {
  std::vector<Value> out;
  switch (value.kind()) {
    case Value::Kind::undefined:
      return out;
    case Value::Kind::text:
      out = characters(heap, value.text());
      break;
    case Value::Kind::sequence:
      heap.expect(value.sequence().items.size() * sizeof(Value));
      out = value.sequence().is_generator() ? drain(value.mutable_sequence()) : value.sequence().items;
      break;
    case Value::Kind::dict:
      for (const auto& entry : value.dict().entries) out.push_back(entry.first);
      break;
    case Value::Kind::range:
      for (size_t i = 0; i < value.range().length; ++i) out.push_back(value.range().at(i));
      break;
    default:
      raise("TypeError", "'{}' object is not iterable", type_name(value));
  }
  heap.step(out.size());
  return out;
}

}  // namespace kinglet::jinja
