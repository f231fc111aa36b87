// Python's two ways of formatting: '%05d' % x and '{:>8}'.format(x).
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

constexpr int64_t kMaxWidth = 1'000'000;  // characters a field may be padded to
constexpr int kMaxPrecision = 500;

/// How one field is laid out.
struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';    // - + or space
  bool alternate = false;
  bool zero = false;
  bool comma = false;
  int64_t width = 0;
  int precision = -1;
  char type = '\0';
};

std::string pad(Heap& heap, const Spec& spec, std::string text, char default_align) {
  const auto length = static_cast<int64_t>(count_code_points(text));
  if (spec.width <= length) return text;
  const auto missing = static_cast<size_t>(spec.width - length);
  heap.expect(text.size() + missing * spec.fill.size());
  const char align = spec.align != '\0' ? spec.align : default_align;
  const size_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  std::string out;
  for (size_t i = 0; i < left; ++i) out += spec.fill;
  out += text;
  for (size_t i = left; i < missing; ++i) out += spec.fill;
  return out;
}

void group_thousands(std::string& digits) {
  const size_t end = std::min(digits.find_first_of(".e"), digits.size());
  for (size_t i = end; i > 3;) {
    i -= 3;
    digits.insert(i, 1, ',');
  }
}

/// A number's digits with its sign in front, zeros between the two where asked.
std::string pad_number(Heap& heap, const Spec& spec, bool negative, std::string prefix, std::string digits) {
  if (spec.comma) group_thousands(digits);
  const std::string sign = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  std::string head = sign + prefix;
  const auto length = static_cast<int64_t>(head.size() + digits.size());
  const bool inner = spec.align == '=' || (spec.zero && spec.align == '\0');
  if (inner && spec.width > length) {
    Spec fill = spec;
    fill.width = spec.width - static_cast<int64_t>(head.size());
    fill.align = '>';
    if (spec.zero) fill.fill.assign(1, '0');
    return head + pad(heap, fill, std::move(digits), '>');
  }
  return pad(heap, spec, head + digits, '>');
}

std::string format_integer(Heap& heap, const Spec& spec, int64_t value) {
  uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const char type = spec.type;
  std::string digits = type == 'x'   ? fmt::format("{:x}", magnitude)
                       : type == 'X' ? fmt::format("{:X}", magnitude)
                       : type == 'o' ? fmt::format("{:o}", magnitude)
                       : type == 'b' ? fmt::format("{:b}", magnitude)
                                     : fmt::format("{}", magnitude);
  if (spec.precision > static_cast<int>(digits.size()))
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  std::string prefix;
  if (spec.alternate && (type == 'x' || type == 'X' || type == 'o' || type == 'b')) prefix = std::string("0") + type;
  return pad_number(heap, spec, value < 0, std::move(prefix), std::move(digits));
}

std::string format_float(Heap& heap, const Spec& spec, double value) {
  std::string digits;
  const double magnitude = std::fabs(value);
  const int precision = spec.precision < 0 ? 6 : spec.precision;
  if (std::isnan(value) || std::isinf(value)) digits = std::isnan(value) ? "nan" : "inf";
  else if (spec.type == 'e') digits = fmt::format("{:.{}e}", magnitude, precision);
  else if (spec.type == 'E') digits = fmt::format("{:.{}E}", magnitude, precision);
  else if (spec.type == 'g' || spec.type == 'n') digits = fmt::format("{:.{}g}", magnitude, precision);
  else if (spec.type == 'G') digits = fmt::format("{:.{}G}", magnitude, precision);
  else if (spec.type == '%') digits = fmt::format("{:.{}f}%", magnitude * 100, precision);
  else if (spec.type == '\0' && spec.precision >= 0) digits = fmt::format("{:.{}g}", magnitude, precision);
  else if (spec.type == '\0') digits = float_repr(magnitude);
  else digits = fmt::format("{:.{}f}", magnitude, precision);
  return pad_number(heap, spec, std::signbit(value) && !std::isnan(value), "", std::move(digits));
}

std::string cut(std::string text, int precision) {
  if (precision >= 0) text.resize(byte_offset(text, static_cast<size_t>(precision)));
  return text;
}

/// Digits at `pos` as a number, or -1 where there are none.
int64_t number_at(std::string_view text, size_t& pos) {
  if (pos >= text.size() || text[pos] < '0' || text[pos] > '9') return -1;
  int64_t value = 0;
  for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos) {
    value = value * 10 + (text[pos] - '0');
    if (value > kMaxWidth) raise_limit("a format wider than {} characters", kMaxWidth);
  }
  return value;
}

int checked_precision(int64_t value) {
  if (value > kMaxPrecision) raise_limit("a format with more than {} digits", kMaxPrecision);
  return static_cast<int>(value);
}

// -- % --

class Percent {
 public:
  Percent(Heap& heap, std::string_view format, const Value& arguments)
      : heap_(heap), format_(format), arguments_(arguments) {
    tuple_ = arguments.is(Value::Kind::sequence) && arguments.sequence().is_tuple();
  }

  std::string run() {
    while (pos_ < format_.size()) {
      heap_.expect(out_.size());
      const char c = format_[pos_++];
      if (c != '%') out_ += c;
      else field();
    }
    const bool mapping = arguments_.is(Value::Kind::dict);
    const size_t given = tuple_ ? arguments_.sequence().items.size() : 1;
    if (next_ < given && !mapping && !(!tuple_ && arguments_.is(Value::Kind::sequence))) {
      raise("TypeError", "not all arguments converted during string formatting");
    }
    return std::move(out_);
  }

 private:
  void field() {
    std::optional<Value> keyed = key();
    Spec spec;
    flags(spec);
    spec.width = size(spec);
    if (pos_ < format_.size() && format_[pos_] == '.') {
      ++pos_;
      Spec ignored;
      spec.precision = checked_precision(size(ignored));
    }
    while (pos_ < format_.size() && std::string_view("hlL").find(format_[pos_]) != std::string_view::npos) ++pos_;
    if (pos_ == format_.size()) raise("ValueError", "incomplete format");
    spec.type = format_[pos_++];
    if (spec.type == '%') out_ += '%';
    else out_ += convert(spec, keyed ? *keyed : next());
  }

  std::optional<Value> key() {
    if (pos_ >= format_.size() || format_[pos_] != '(') return std::nullopt;
    const size_t close = format_.find(')', pos_);
    if (close == format_.npos) raise("ValueError", "incomplete format key");
    const std::string_view name = format_.substr(pos_ + 1, close - pos_ - 1);
    pos_ = close + 1;
    if (!arguments_.is(Value::Kind::dict)) raise("TypeError", "format requires a mapping");
    const Value* value = arguments_.dict().find(name);
    if (!value) raise("KeyError", "{}", quote(name));
    return *value;
  }

  void flags(Spec& spec) {
    for (; pos_ < format_.size(); ++pos_) {
      const char c = format_[pos_];
      if (c == '-') spec.align = '<';
      else if (c == '+') spec.sign = '+';
      else if (c == ' ') spec.sign = spec.sign == '+' ? '+' : ' ';
      else if (c == '#') spec.alternate = true;
      else if (c == '0') spec.zero = true;
      else return;
    }
  }

  int64_t size(Spec& spec) {
    if (pos_ >= format_.size() || format_[pos_] != '*') return std::max<int64_t>(number_at(format_, pos_), 0);
    ++pos_;
    const Value value = next();
    if (!value.is_integral()) raise("TypeError", "* wants int");
    if (value.is_wide() || std::abs(value.integer()) > kMaxWidth)
      raise_limit("a format wider than {} characters", kMaxWidth);
    if (value.integer() < 0) spec.align = '<';
    return std::abs(value.integer());
  }

  const Value& next() {
    if (!tuple_ && next_++ == 0) return arguments_;
    if (!tuple_ || next_ >= arguments_.sequence().items.size())
      raise("TypeError", "not enough arguments for format string");
    return arguments_.sequence().items[next_++];
  }

  std::string convert(const Spec& spec, const Value& value) {
    Spec plain = spec;
    plain.zero = false;
    switch (spec.type) {
      case 's':
        return pad(heap_, plain, cut(to_str(heap_, value), spec.precision), '>');
      case 'r':
      case 'a':
        return pad(heap_, plain, cut(to_repr(heap_, value), spec.precision), '>');
      case 'c':
        return pad(heap_, plain, character(value), '>');
      case 'd':
      case 'i':
      case 'u':
        return integer(spec, value, "a real number is required");
      case 'x':
      case 'X':
      case 'o':
        return integer(spec, value, "an integer is required");
      case 'f':
      case 'F':
      case 'e':
      case 'E':
      case 'g':
      case 'G':
        if (value.is_undefined()) raise_undefined(value);
        if (!value.is_number() || value.is_wide()) raise("TypeError", "must be real number, not {}", type_name(value));
        return format_float(heap_, spec, value.number());
      default:
        raise("ValueError", "unsupported format character '{}'", spec.type);
    }
  }

  std::string integer(const Spec& spec, const Value& value, std::string_view wanted) {
    if (!value.is_number() || value.is_wide())
      raise("TypeError", "%{} format: {}, not {}", spec.type, wanted, type_name(value));
    if (value.is_integral()) return format_integer(heap_, spec, value.integer());
    if (spec.type != 'd' && spec.type != 'i' && spec.type != 'u')
      raise("TypeError", "%{} format: an integer is required, not float", spec.type);
    if (!(std::fabs(value.real()) < 9.2e18)) raise("OverflowError", "cannot convert float to integer");
    return format_integer(heap_, spec, static_cast<int64_t>(value.real()));
  }

  static std::string character(const Value& value) {
    if (value.is_text() && value.text().length == 1) return value.string();
    if (!value.is_integral() || value.is_wide()) raise("TypeError", "%c requires int or char");
    if (value.integer() < 0 || value.integer() > 0x10FFFF) raise("OverflowError", "%c arg not in range(0x110000)");
    std::string out;
    append_utf8(out, static_cast<uint32_t>(value.integer()));
    return out;
  }

  Heap& heap_;
  std::string_view format_;
  const Value& arguments_;
  bool tuple_ = false;
  size_t next_ = 0;
  size_t pos_ = 0;
  std::string out_;
};

// -- {} --

Spec parse_spec(std::string_view text) {
  Spec spec;
  size_t pos = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!text.empty()) {
    size_t after = 0;
    next_code_point(text, after);
    if (after < text.size() && is_align(text[after])) {
      spec.fill = std::string(text.substr(0, after));
      spec.align = text[after];
      pos = after + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      pos = 1;
    }
  }
  const auto flag = [&](char c) { return pos < text.size() && text[pos] == c && (++pos, true); };
  if (pos < text.size() && (text[pos] == '+' || text[pos] == '-' || text[pos] == ' ')) spec.sign = text[pos++];
  spec.alternate = flag('#');
  spec.zero = flag('0');
  spec.width = std::max<int64_t>(number_at(text, pos), 0);
  spec.comma = flag(',');
  if (flag('.')) {
    const int64_t precision = number_at(text, pos);
    if (precision < 0) raise("ValueError", "Format specifier missing precision");
    spec.precision = checked_precision(precision);
  }
  if (pos < text.size()) spec.type = text[pos++];
  if (pos != text.size()) raise("ValueError", "Invalid format specifier '{}'", text);
  return spec;
}

[[noreturn]] void unknown_code(char type, const Value& value) {
  raise("ValueError", "Unknown format code '{}' for object of type '{}'", type, type_name(value));
}

std::string format_value(Heap& heap, const Value& value, std::string_view text) {
  if (text.empty()) return to_str(heap, value);
  const Spec spec = parse_spec(text);
  if (value.is_text() || value.is(Value::Kind::boolean)) {
    if (value.is_text() && spec.type != '\0' && spec.type != 's') unknown_code(spec.type, value);
    if (value.is_text()) return pad(heap, spec, cut(value.string(), spec.precision), '<');
  }
  if (!value.is_number() || value.is_wide()) {
    raise("TypeError", "unsupported format string passed to {}.__format__", type_name(value));
  }
  const bool wants_float = std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos && spec.type != '\0';
  if (value.is(Value::Kind::real) || wants_float) return format_float(heap, spec, value.number());
  if (spec.type != '\0' && std::string_view("bdnoxX").find(spec.type) == std::string_view::npos)
    unknown_code(spec.type, value);
  return format_integer(heap, spec, value.integer());
}

class Braces {
 public:
  Braces(Runtime& runtime, std::string_view format, const Arguments& arguments)
      : runtime_(runtime), format_(format), arguments_(arguments) {}

  std::string run() {
    while (pos_ < format_.size()) {
      runtime_.heap.expect(out_.size());
      const char c = format_[pos_++];
      const bool doubled = pos_ < format_.size() && format_[pos_] == c;
      if (c != '{' && c != '}') out_ += c;
      else if (doubled) out_ += format_[pos_++];
      else if (c == '}') raise("ValueError", "Single '}}' encountered in format string");
      else field();
    }
    return std::move(out_);
  }

 private:
  void field() {
    const size_t close = format_.find('}', pos_);
    if (close == format_.npos) raise("ValueError", "expected '}}' before end of string");
    const std::string_view inside = format_.substr(pos_, close - pos_);
    if (inside.find('{') != inside.npos) raise("ValueError", "nested format fields are outside the subset");
    pos_ = close + 1;
    const size_t colon = inside.find(':');
    std::string_view name = inside.substr(0, colon);
    char conversion = '\0';
    if (const size_t mark = name.find('!'); mark != name.npos) {
      if (mark + 2 != name.size()) raise("ValueError", "expected ':' after conversion specifier");
      conversion = name[mark + 1];
      name = name.substr(0, mark);
    }
    Value value = look_up(name);
    if (conversion == 'r' || conversion == 'a') value = make_text(runtime_.heap, to_repr(runtime_.heap, value));
    else if (conversion == 's') value = make_text(runtime_.heap, to_str(runtime_.heap, value));
    else if (conversion != '\0') raise("ValueError", "Unknown conversion specifier '{}'", conversion);
    out_ += format_value(runtime_.heap, value, colon == inside.npos ? std::string_view() : inside.substr(colon + 1));
  }

  /// name, name.attribute, name[key], in any number
  Value look_up(std::string_view name) {
    size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, end));
    while (end < name.size()) {
      if (name[end] == '.') {
        const size_t next = std::min(name.find_first_of(".[", end + 1), name.size());
        value = get_attribute(runtime_, value, name.substr(end + 1, next - end - 1));
        end = next;
      } else if (name[end] == '[') {
        const size_t close = name.find(']', end);
        if (close == name.npos) raise("ValueError", "Missing ']' in format string");
        value = get_item(runtime_, value, key(name.substr(end + 1, close - end - 1)));
        end = close + 1;
      } else {
        raise("ValueError", "Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  Value key(std::string_view text) {
    size_t pos = 0;
    const int64_t index = number_at(text, pos);
    return index >= 0 && pos == text.size() ? Value::of(index) : make_text(runtime_.heap, std::string(text));
  }

  Value first(std::string_view name) {
    size_t pos = 0;
    int64_t index = name.empty() ? static_cast<int64_t>(automatic_++) : number_at(name, pos);
    if (index < 0 || pos != name.size()) {
      for (const auto& [key, value] : arguments_.named) {
        if (key == name) return value;
      }
      raise("KeyError", "{}", quote(name));
    }
    if (static_cast<size_t>(index) >= arguments_.positional.size()) {
      raise("IndexError", "Replacement index {} out of range for positional args tuple", index);
    }
    return arguments_.positional[static_cast<size_t>(index)];
  }

  Runtime& runtime_;
  std::string_view format_;
  const Arguments& arguments_;
  size_t automatic_ = 0;
  size_t pos_ = 0;
  std::string out_;
};

}  // namespace

Value format_percent(Heap& heap, const Text& format, const Value& arguments) {
  return make_text(heap, Percent(heap, format.bytes, arguments).run(), format.markup);
}

Value format_braces(Runtime& runtime, const Text& format, const Arguments& arguments) {
  return make_text(runtime.heap, Braces(runtime, format.bytes, arguments).run(), format.markup);
}

}  // namespace kinglet::jinja
