// Filters on whatever can be iterated.
#include <algorithm>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

// -- attributes by name --

/// "address.city" or 0: what map(attribute=...), sort and their like look up in each element.
class Getter {
 public:
  Getter(Runtime& runtime, const Value& attribute, bool ignore_case = false, Value fallback = Value::none())
      : runtime_(runtime), ignore_case_(ignore_case), fallback_(std::move(fallback)) {
    if (attribute.is_none()) return;
    if (!attribute.is_text()) {
      parts_.push_back(attribute);
      return;
    }
    std::string_view rest = attribute.string();
    while (true) {
      const size_t dot = std::min(rest.find('.'), rest.size());
      parts_.push_back(part(rest.substr(0, dot)));
      if (dot == rest.size()) break;
      rest.remove_prefix(dot + 1);
    }
  }

  Value operator()(const Value& item) const {
    Value out = item;
    for (const Value& part : parts_) {
      out = get_item(runtime_, out, part);
      if (out.is_undefined() && !fallback_.is_none()) out = fallback_;
    }
    if (ignore_case_ && out.is_text()) return make_text(runtime_.heap, to_lower(out.string()));
    return out;
  }

 private:
  Value part(std::string_view text) const {
    const bool digits = !text.empty() && text.size() < 18 &&
                        std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (digits) return Value::of(static_cast<int64_t>(std::stoll(std::string(text))));
    return make_text(runtime_.heap, std::string(text));
  }

  Runtime& runtime_;
  bool ignore_case_;
  Value fallback_;
  std::vector<Value> parts_;
};

/// Elements with the keys they are ordered by; equal ones keep their order.
struct Keyed {
  Value key;
  Value item;
};

void sort_keyed(Heap& heap, std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(heap, b.key, a.key) : less(heap, a.key, b.key);
  });
}

std::vector<Keyed> keyed(const FilterCall& call, const Getter& getter) {
  std::vector<Keyed> out;
  for (Value& item : iterate(call.heap(), call.value)) {
    Value key = getter(item);
    out.push_back({std::move(key), std::move(item)});
  }
  return out;
}

Value items_of(Heap& heap, std::vector<Keyed> sorted) {
  std::vector<Value> out;
  for (Keyed& entry : sorted) out.push_back(std::move(entry.item));
  return make_list(heap, std::move(out));
}

Value argument(const Bound& args, size_t i) { return args.get(i, Value::none()); }

// -- order --

/// Several attributes with commas between them are one key.
Value sort(const FilterCall& call) {
  const Bound args = call.bind({"reverse", "case_sensitive", "attribute"});
  const bool ignore_case = !args.truth(1, false);
  const Value attribute = argument(args, 2);
  std::vector<Getter> getters;
  if (attribute.is_text()) {
    std::string_view rest = attribute.string();
    while (true) {
      const size_t comma = std::min(rest.find(','), rest.size());
      getters.emplace_back(call.runtime, make_text(call.heap(), std::string(rest.substr(0, comma))), ignore_case);
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
  } else {
    getters.emplace_back(call.runtime, attribute, ignore_case);
  }
  std::vector<Keyed> items;
  for (Value& item : iterate(call.heap(), call.value)) {
    std::vector<Value> keys;
    for (const Getter& getter : getters) keys.push_back(getter(item));
    items.push_back({make_list(call.heap(), std::move(keys)), std::move(item)});
  }
  sort_keyed(call.heap(), items, args.truth(0, false));
  return items_of(call.heap(), std::move(items));
}

Value dictsort(const FilterCall& call) {
  const Bound args = call.bind({"case_sensitive", "by", "reverse"});
  const std::string by = args.has(1) ? args.string(1) : "key";
  if (by != "key" && by != "value") raise("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
  if (call.value.is_undefined()) raise_undefined(call.value);
  if (!call.value.is(Value::Kind::dict))
    raise("AttributeError", "'{}' object has no attribute 'items'", type_name(call.value));
  const Getter fold(call.runtime, Value::none(), !args.truth(0, false));
  std::vector<Keyed> items;
  for (const auto& [key, value] : call.value.dict().entries) {
    items.push_back({fold(by == "key" ? key : value), make_tuple(call.heap(), {key, value})});
  }
  sort_keyed(call.heap(), items, args.truth(2, false));
  return items_of(call.heap(), std::move(items));
}

Value extreme(const FilterCall& call) {
  const Bound args = call.bind({"case_sensitive", "attribute"});
  const Getter getter(call.runtime, argument(args, 1), !args.truth(0, false));
  std::vector<Keyed> items = keyed(call, getter);
  if (items.empty()) return make_undefined(call.heap(), "No aggregated item, sequence was empty.");
  const bool smallest = call.name == "min";
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    const bool better = smallest ? less(call.heap(), items[i].key, items[best].key)
                                 : compare(call.heap(), ">", items[i].key, items[best].key);
    if (better) best = i;
  }
  return items[best].item;
}

Value unique(const FilterCall& call) {
  const Bound args = call.bind({"case_sensitive", "attribute"});
  const Getter getter(call.runtime, argument(args, 1), !args.truth(0, false));
  std::unordered_multimap<size_t, Value> seen;
  std::vector<Value> out;
  for (Keyed& entry : keyed(call, getter)) {
    const size_t code = hash(entry.key);
    const auto [first, last] = seen.equal_range(code);
    if (std::any_of(first, last, [&](const auto& other) { return equal(call.heap(), other.second, entry.key); }))
      continue;
    seen.emplace(code, entry.key);
    out.push_back(std::move(entry.item));
  }
  return make_generator(call.heap(), std::move(out));
}

/// Pairs of a key and the elements that have it; also as .grouper and .list.
Value groupby(const FilterCall& call) {
  const Bound args = call.bind({"attribute", "default", "case_sensitive"}, 1);
  const bool ignore_case = !args.truth(2, false);
  const Getter getter(call.runtime, args[0], ignore_case, argument(args, 1));
  const Getter plain(call.runtime, args[0], false, argument(args, 1));
  std::vector<Keyed> items = keyed(call, getter);
  sort_keyed(call.heap(), items, false);
  std::vector<Value> out;
  for (size_t i = 0; i < items.size();) {
    const size_t first = i;
    std::vector<Value> members;
    for (; i < items.size() && equal(call.heap(), items[i].key, items[first].key); ++i)
      members.push_back(items[i].item);
    const Value key = plain(members[0]);
    std::vector<Value> pair{key, make_list(call.heap(), std::move(members))};
    out.emplace_back(Value::Kind::sequence,
                     std::make_shared<Sequence>(call.heap(), Sequence::Flavour::tuple, std::move(pair), kGroupType));
  }
  return make_list(call.heap(), std::move(out));
}

Value reverse(const FilterCall& call) {
  call.bind({});
  const Value& value = call.value;
  if (value.is_text()) return get_slice(call.runtime, value, Value::none(), Value::none(), Value::of(-1));
  if (!is_iterable(value)) raise("FilterArgumentError", "argument must be iterable");
  std::vector<Value> items = iterate(call.heap(), value);
  std::reverse(items.begin(), items.end());
  if (value.is_undefined() || (value.is(Value::Kind::sequence) && value.sequence().is_generator())) {
    return make_list(call.heap(), std::move(items));
  }
  return make_generator(call.heap(), std::move(items),
                        value.is(Value::Kind::dict) ? "dict_reversekeyiterator" : "list_reverseiterator");
}

// -- one element, or a number of them --

Value first(const FilterCall& call) {
  call.bind({});
  if (call.value.is(Value::Kind::sequence) && call.value.sequence().is_generator()) {
    Sequence& generator = call.value.mutable_sequence();
    if (generator.consumed < generator.items.size()) return generator.items[generator.consumed++];
  } else {
    std::vector<Value> items = iterate(call.heap(), call.value);
    if (!items.empty()) return items.front();
  }
  return make_undefined(call.heap(), "No first item, sequence was empty.");
}

Value last(const FilterCall& call) {
  call.bind({});
  if (call.value.is(Value::Kind::sequence) && call.value.sequence().is_generator()) {
    raise("TypeError", "'{}' object is not reversible", type_name(call.value));
  }
  if (call.value.is_undefined()) raise_undefined(call.value);
  if (!is_iterable(call.value)) raise("TypeError", "'{}' object is not reversible", type_name(call.value));
  std::vector<Value> items = iterate(call.heap(), call.value);
  return items.empty() ? make_undefined(call.heap(), "No last item, sequence was empty.") : items.back();
}

Value count(const FilterCall& call) {
  call.bind({});
  return Value::of(length(call.value));
}

Value list(const FilterCall& call) {
  call.bind({});
  return make_list(call.heap(), iterate(call.heap(), call.value));
}

Value items(const FilterCall& call) {
  call.bind({});
  if (call.value.is_undefined()) return make_generator(call.heap(), {});
  if (!call.value.is(Value::Kind::dict)) raise("TypeError", "Can only get item pairs from a mapping.");
  Arguments none;
  return make_generator(call.heap(), iterate(call.heap(), call_method(call.runtime, call.value, "items", none)));
}

Value sum(const FilterCall& call) {
  const Bound args = call.bind({"attribute", "start"});
  const Getter getter(call.runtime, argument(args, 0));
  Value total = args.get(1, Value::of(0));
  if (total.is_text()) raise("TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : iterate(call.heap(), call.value)) total = arithmetic(call.heap(), "+", total, getter(item));
  return total;
}

Value join(const FilterCall& call) {
  const Bound args = call.bind({"d", "attribute"});
  Heap& heap = call.heap();
  const std::string separator = args.has(0) ? to_str(heap, args[0]) : "";
  const Getter getter(call.runtime, argument(args, 1));
  std::string out;
  bool started = false;
  for (const Value& item : iterate(heap, call.value)) {
    if (std::exchange(started, true)) out += separator;
    out += to_str(heap, getter(item));
    heap.expect(out.size());
  }
  return make_text(heap, std::move(out));
}

Value fallback(const FilterCall& call) {
  const Bound args = call.bind({"default_value", "boolean"});
  if (!call.value.is_undefined() && !(args.truth(1, false) && !truth(call.value))) return call.value;
  return args.has(0) ? args[0] : make_text(call.heap(), "");
}

Value attr(const FilterCall& call) {
  const Bound args = call.bind({"name"}, 1);
  const std::string& name = args.string(0);
  // An attribute, never an element: a dict has only its methods.
  if (call.value.is(Value::Kind::dict) && !has_method(call.value, name)) {
    return make_undefined(call.heap(), fmt::format("'dict object' has no attribute {}", quote(name)));
  }
  return get_attribute(call.runtime, call.value, name);
}

// -- pieces --

Value batch(const FilterCall& call) {
  const Bound args = call.bind({"linecount", "fill_with"}, 1);
  const int64_t size = args.integer(0, 1);
  const Value fill = argument(args, 1);
  std::vector<Value> out;
  std::vector<Value> line;
  const auto flush = [&] { out.push_back(make_list(call.heap(), std::exchange(line, {}))); };
  for (Value& item : iterate(call.heap(), call.value)) {
    if (static_cast<int64_t>(line.size()) == size) flush();
    line.push_back(std::move(item));
  }
  if (!line.empty()) {
    if (!fill.is_none() && static_cast<int64_t>(line.size()) < size) {
      if (size > static_cast<int64_t>(call.heap().limits().max_memory_bytes)) call.heap().expect(UINT64_MAX);
      call.heap().expect(static_cast<uint64_t>(size) * sizeof(Value));
      line.resize(static_cast<size_t>(size), fill);
    }
    flush();
  }
  return make_generator(call.heap(), std::move(out));
}

Value slice(const FilterCall& call) {
  const Bound args = call.bind({"slices", "fill_with"}, 1);
  const int64_t slices = args.integer(0, 1);
  const Value fill = argument(args, 1);
  const std::vector<Value> all = iterate(call.heap(), call.value);
  if (slices == 0) raise("ZeroDivisionError", "integer division or modulo by zero");
  std::vector<Value> out;
  for (int64_t i = 0, begin = 0; i < slices; ++i) {
    call.heap().step();
    const auto size = static_cast<int64_t>(all.size());
    const int64_t end = begin + size / slices + (i < size % slices ? 1 : 0);
    std::vector<Value> part(all.begin() + begin, all.begin() + end);
    if (!fill.is_none() && i >= size % slices) part.push_back(fill);
    out.push_back(make_list(call.heap(), std::move(part)));
    begin = end;
  }
  return make_generator(call.heap(), std::move(out));
}

// -- each element --

/// The first positional argument, taken out of the rest.
Value take_first(Arguments& arguments) {
  Value out = arguments.positional.front();
  arguments.positional.erase(arguments.positional.begin());
  return out;
}

std::string take_name(Arguments& arguments, std::string_view what, bool (*known)(std::string_view)) {
  const Value name = take_first(arguments);
  if (!name.is_text() || !known(name.string())) {
    throw Failure{Code::unsupported, 0,
                  fmt::format("TemplateRuntimeError: No {} named {}.", what,
                              name.is_text() ? quote(name.string()) : std::string(type_name(name)))};
  }
  return name.string();
}

Value map(const FilterCall& call) {
  std::vector<Value> out;
  if (!truth(call.value)) return make_generator(call.heap(), {});
  Arguments arguments = call.arguments;
  if (arguments.positional.empty()) {
    const auto given = [&](std::string_view name) {
      return std::any_of(arguments.named.begin(), arguments.named.end(),
                         [&](const auto& entry) { return entry.first == name; });
    };
    if (!given("attribute")) raise("FilterArgumentError", "map requires a filter argument");
    const Bound args(call.name, arguments, {"attribute", "default"});
    const Getter getter(call.runtime, args[0], false, argument(args, 1));
    for (const Value& item : iterate(call.heap(), call.value)) out.push_back(getter(item));
    return make_generator(call.heap(), std::move(out));
  }
  const std::string name = take_name(arguments, "filter", is_filter);
  for (const Value& item : iterate(call.heap(), call.value)) {
    Arguments copy = arguments;
    out.push_back(apply_filter(call.runtime, name, item, copy));
  }
  return make_generator(call.heap(), std::move(out));
}

/// select, reject, selectattr and rejectattr.
Value select(const FilterCall& call) {
  const bool by_attribute = call.name.ends_with("attr");
  const bool wanted = call.name.starts_with("select");
  if (!truth(call.value)) return make_generator(call.heap(), {});
  Arguments arguments = call.arguments;
  Value attribute = Value::none();
  if (by_attribute) {
    if (arguments.positional.empty()) raise("FilterArgumentError", "Missing parameter for attribute name");
    attribute = take_first(arguments);
  }
  const Getter getter(call.runtime, attribute);
  const bool tested = !arguments.positional.empty();
  const std::string name = tested ? take_name(arguments, "test", is_test) : "";
  std::vector<Value> out;
  for (Value& item : iterate(call.heap(), call.value)) {
    Arguments copy = arguments;
    const Value subject = getter(item);
    const bool holds = tested ? apply_test(call.runtime, name, subject, copy) : truth(subject);
    if (holds == wanted) out.push_back(std::move(item));
  }
  return make_generator(call.heap(), std::move(out));
}

constexpr Filter kFilters[] = {
    {"attr", attr},         {"batch", batch},   {"count", count},       {"d", fallback},      {"default", fallback},
    {"dictsort", dictsort}, {"first", first},   {"groupby", groupby},   {"items", items},     {"join", join},
    {"last", last},         {"length", count},  {"list", list},         {"map", map},         {"max", extreme},
    {"min", extreme},       {"reject", select}, {"rejectattr", select}, {"reverse", reverse}, {"select", select},
    {"selectattr", select}, {"slice", slice},   {"sort", sort},         {"sum", sum},         {"unique", unique},
};

}  // namespace

std::span<const Filter> sequence_filters() { return kFilters; }

}  // namespace kinglet::jinja
