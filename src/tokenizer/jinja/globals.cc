// Global functions, and the clock.
#include <algorithm>
#include <array>
#include <ctime>

#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/text.h"

namespace kinglet::jinja {
namespace {

constexpr uint64_t kMaxRange = 100'000;  // elements: jinja2's sandbox has the same limit

/// Elements of range(start, stop, step).
uint64_t range_length(int64_t start, int64_t stop, int64_t step) {
  if (step > 0 ? start >= stop : start <= stop) return 0;
  const uint64_t span = step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start)
                                 : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  return (span - 1) / stride + 1;
}

Value range(Runtime& runtime, Arguments& arguments) {
  if (arguments.positional.empty()) raise("TypeError", "range expected at least 1 argument, got 0");
  const bool one = arguments.positional.size() == 1;
  const Bound args("range", arguments, {"start", "stop", "step"}, 1);
  const int64_t start = one ? 0 : args.integer(0, 0);
  const int64_t stop = one ? args.integer(0, 0) : args.integer(1, 0);
  const int64_t step = args.integer(2, 1);
  if (step == 0) raise("ValueError", "range() arg 3 must not be zero");
  const uint64_t size = range_length(start, stop, step);
  if (size > kMaxRange) {
    raise("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaxRange);
  }
  return {Value::Kind::range, std::make_shared<Range>(runtime.heap, start, stop, step, static_cast<size_t>(size))};
}

/// The entries that dict() and namespace() take: one mapping or pairs, and keyword arguments.
std::vector<Dict::Entry> entries_of(Runtime& runtime, std::string_view function, Arguments& arguments) {
  Heap& heap = runtime.heap;
  if (arguments.positional.size() > 1) {
    raise("TypeError", "{} expected at most 1 argument, got {}", function, arguments.positional.size());
  }
  std::vector<Dict::Entry> out;
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional.front();
    if (from.is(Value::Kind::dict)) {
      out = from.dict().entries;
    } else {
      for (const Value& item : iterate(heap, from)) {
        std::vector<Value> pair = iterate(heap, item);
        if (pair.size() != 2)
          raise("ValueError", "dictionary update sequence element #{} has length {}; 2 is required", out.size(),
                pair.size());
        out.emplace_back(std::move(pair[0]), std::move(pair[1]));
      }
    }
  }
  for (auto& [name, value] : arguments.named) out.emplace_back(make_text(heap, name), std::move(value));
  return out;
}

Value dict(Runtime& runtime, Arguments& arguments) {
  return make_dict(runtime.heap, entries_of(runtime, "dict", arguments));
}

Value name_space(Runtime& runtime, Arguments& arguments) {
  const Value entries = make_dict(runtime.heap, entries_of(runtime, "dict", arguments));
  auto space = std::make_shared<Space>(runtime.heap);
  for (const auto& [key, value] : entries.dict().entries) {
    if (key.is_text()) space->attributes.emplace_back(key.string(), value);
  }
  return {Value::Kind::space, std::move(space)};
}

/// cycler(a, b, ...): an object that gives its values in turn.
Value cycler(Runtime& runtime, Arguments& arguments) {
  if (arguments.positional.empty()) raise("RuntimeError", "at least one item has to be provided");
  struct State {
    std::vector<Value> items;
    size_t position = 0;
  };
  auto state = std::make_shared<State>(State{arguments.positional, 0});
  auto object = std::make_shared<Function>(runtime.heap, "Cycler", "<Cycler object>");
  object->attribute = [&runtime, state](std::string_view name) -> Value {
    if (name == "current") return state->items[state->position];
    if (name == "items") return make_tuple(runtime.heap, state->items);
    if (name == "pos") return Value::of(state->position);
    if (name == "next") {
      return make_function(runtime.heap, "method", "<bound method Cycler.next>", [state](Arguments&) {
        const Value out = state->items[state->position];
        state->position = (state->position + 1) % state->items.size();
        return out;
      });
    }
    if (name == "reset") {
      return make_function(runtime.heap, "method", "<bound method Cycler.reset>", [state](Arguments&) {
        state->position = 0;
        return Value::none();
      });
    }
    return {};
  };
  return {Value::Kind::function, std::move(object)};
}

/// joiner(separator): a function that gives nothing the first time, then the separator.
Value joiner(Runtime& runtime, Arguments& arguments) {
  const Bound args("joiner", arguments, {"sep"});
  const Value separator = args.has(0) ? args[0] : make_text(runtime.heap, ", ");
  auto used = std::make_shared<bool>(false);
  return make_function(runtime.heap, "Joiner", "<Joiner object>", [&runtime, separator, used](Arguments&) {
    return std::exchange(*used, true) ? separator : make_text(runtime.heap, "");
  });
}

Value raise_exception(Runtime& runtime, Arguments& arguments) {
  const Bound args("raise_exception", arguments, {"message"}, 1);
  throw Failure{Code::invalid_argument, 0, "TemplateError: " + to_str(runtime.heap, args[0])};
}

Value strftime_now(Runtime& runtime, Arguments& arguments) {
  const Bound args("strftime_now", arguments, {"format"}, 1);
  return make_text(runtime.heap, format_time(runtime.now_unix, args.string(0)));
}

struct Global {
  std::string_view name;
  Value (*call)(Runtime&, Arguments&);
  std::string_view type;
};
constexpr Global kGlobals[] = {
    {"cycler", cycler, "type"},
    {"dict", dict, "type"},
    {"joiner", joiner, "type"},
    {"namespace", name_space, "type"},
    {"raise_exception", raise_exception, "function"},
    {"range", range, "function"},
    {"strftime_now", strftime_now, "function"},
};

}  // namespace

Value global(Runtime& runtime, std::string_view name) {
  const auto it =
      std::find_if(std::begin(kGlobals), std::end(kGlobals), [name](const Global& g) { return g.name == name; });
  if (it == std::end(kGlobals)) return make_undefined(runtime.heap, fmt::format("{} is undefined", quote(name)));
  return make_function(runtime.heap, std::string(it->type), fmt::format("<function {}>", name),
                       [&runtime, call = it->call](Arguments& arguments) { return call(runtime, arguments); });
}

std::string format_time(int64_t unix_seconds, const std::string& format) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm local{};
#ifdef _WIN32
  if (localtime_s(&local, &seconds) != 0) raise("OSError", "the time {} has no date", unix_seconds);
#else
  if (!localtime_r(&seconds, &local)) raise("OSError", "the time {} has no date", unix_seconds);
#endif
  std::string out;
  std::array<char, 256> buffer{};
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    // One conversion at a time, so that no format makes more text than the buffer holds. glibc's flags (%-d) take a
    // character more.
    size_t end = i + 1;
    while (end + 1 < format.size() && std::string_view("-_0^#").find(format[end]) != std::string_view::npos) ++end;
    const char conversion = format[end];
    const std::string one = format.substr(i, end - i + 1);
    i = end;
    if (conversion == 'f') out += "000000";
    else if (conversion == 'z' || conversion == 'Z') continue;  // a time without a zone, as Python's datetime.now()
    else if (conversion == '%') out += '%';
    else if (std::string_view("aAbBcCdDeFgGhHIjklmMnprRsStTuUVwWxXyY").find(conversion) == std::string_view::npos)
      out += one;
    else out.append(buffer.data(), std::strftime(buffer.data(), buffer.size(), one.c_str(), &local));
  }
  return out;
}

}  // namespace kinglet::jinja
