#include "grammar/json_text.h"

#include <algorithm>
#include <map>

#include "grammar/regex.h"

namespace kinglet::grammar {
namespace {

using Expr = Builder::Expr;

constexpr int64_t kMostDigits = 16;  // of each part of a number: as many as a double can tell apart

const std::vector<CodeRange> kEscaped{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};

ByteSet byte_range(char first, char last) {
  ByteSet set;
  for (int c = first; c <= last; ++c) set.set(static_cast<size_t>(c));
  return set;
}

bool contains(const std::vector<CodeRange>& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const CodeRange& r) { return r.first <= c && c <= r.last; });
}

/// A character out of `ranges` inside a JSON string: as it is, or escaped where it must be.
Expr string_character(Builder& b, std::vector<CodeRange> ranges) {
  constexpr std::pair<char32_t, std::string_view> kShort[] = {
      {'"', "\\\""}, {'\\', "\\\\"}, {'\b', "\\b"}, {'\f', "\\f"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"}};
  std::vector<Expr> out;
  for (const auto& [code, text] : kShort)
    if (contains(ranges, code)) out.push_back(b.text(text));
  for (char32_t c = 0; c < 0x20; ++c) {
    const bool is_short =
        std::any_of(std::begin(kShort), std::end(kShort), [&](const auto& s) { return s.first == c; });
    if (is_short || !contains(ranges, c)) continue;
    constexpr char kHex[] = "0123456789abcdef";
    out.push_back(b.text(std::string("\\u00") + kHex[c >> 4] + kHex[c & 15]));
  }
  const std::vector<CodeRange> plain = difference(std::move(ranges), kEscaped);
  if (!plain.empty()) out.push_back(b.code_points(plain));
  return b.choice(std::move(out));
}

/// Any character, in every way that JSON writes one; \u escapes name no surrogates.
Expr any_string_character(Builder& b) {
  const Expr hex = b.bytes(byte_range('0', '9') | byte_range('a', 'f') | byte_range('A', 'F'));
  const ByteSet d = ByteSet().set('d').set('D');
  const Expr unicode = b.choice(
      {b.sequence({b.bytes((byte_range('0', '9') | byte_range('a', 'f') | byte_range('A', 'F')) & ~d), hex, hex, hex}),
       b.sequence({b.bytes(d), b.bytes(byte_range('0', '7')), hex, hex})});
  ByteSet simple;
  for (const char c : std::string_view("\"\\/bfnrt")) simple.set(static_cast<uint8_t>(c));
  const Expr escape = b.sequence({b.text("\\"), b.choice({b.bytes(simple), b.sequence({b.text("u"), unicode})})});
  return b.choice({b.code_points(difference({kAnyCode}, kEscaped)), escape});
}

/// Decimal numbers of as many digits as `low` has, from `low` to `high` (as many digits).
class DigitRange {
 public:
  explicit DigitRange(Builder& b) : b_(b) {}

  Expr between(std::string_view low, std::string_view high) {
    if (low.find_first_not_of('0') == std::string_view::npos && high.find_first_not_of('9') == std::string_view::npos) {
      const auto n = static_cast<int64_t>(low.size());
      return b_.repeat(b_.bytes(byte_range('0', '9')), n, n);
    }
    if (low[0] == high[0]) return b_.sequence({b_.text(low.substr(0, 1)), between(low.substr(1), high.substr(1))});
    std::vector<Expr> out{b_.sequence({b_.text(low.substr(0, 1)), at_least(low.substr(1))}),
                          b_.sequence({b_.text(high.substr(0, 1)), at_most(high.substr(1))})};
    if (low[0] + 1 < high[0])
      out.push_back(starting(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1), low.size() - 1));
    return b_.choice(std::move(out));
  }
  Expr at_least(std::string_view low) { return between(low, std::string(low.size(), '9')); }
  Expr at_most(std::string_view high) { return between(std::string(high.size(), '0'), high); }

 private:
  Expr starting(char first, char last, size_t more) {
    const auto n = static_cast<int64_t>(more);
    return b_.sequence({b_.bytes(byte_range(first, last)), b_.repeat(b_.bytes(byte_range('0', '9')), n, n)});
  }
  Builder& b_;
};

constexpr uint64_t kNoBound = UINT64_MAX;

/// Whole numbers without sign from `low` to `high` (or kNoBound), as decimal text.
Expr magnitude(Builder& b, uint64_t low, uint64_t high) {
  const std::string from = std::to_string(low), to = std::to_string(high);
  const size_t longest = high != kNoBound ? to.size() : std::max<size_t>(from.size(), kMostDigits);
  std::vector<Expr> out;
  DigitRange range(b);
  for (size_t n = from.size(); n <= longest; ++n) {
    const std::string first = n == from.size() ? from : "1" + std::string(n - 1, '0');
    const std::string last = high != kNoBound && n == longest ? to : std::string(n, '9');
    if (first <= last) out.push_back(range.between(first, last));
  }
  return b.choice(std::move(out));
}

uint64_t size_of(int64_t negative) { return 0 - static_cast<uint64_t>(negative); }

}  // namespace

Expr JsonText::once(std::optional<RuleId>& rule, std::string name, Expr (JsonText::*make)()) {
  if (!rule) {
    rule = b_.declare(std::move(name));  // before its body, which may call it
    const RuleId id = *rule;
    b_.define(id, (this->*make)());
  }
  return b_.call(*rule);
}

Expr JsonText::space() { return once(space_, "space", &JsonText::make_space); }
Expr JsonText::number() { return once(number_, "number", &JsonText::make_number); }
Expr JsonText::value() { return once(value_, "value", &JsonText::make_value); }
Expr JsonText::object() { return once(object_, "object", &JsonText::make_object); }
Expr JsonText::array() { return once(array_, "array", &JsonText::make_array); }

Expr JsonText::make_space() {
  const Expr indent = b_.repeat(b_.bytes(ByteSet().set(' ').set('\t')), 0, 20);
  return b_.choice({b_.empty(), b_.text(" "), b_.sequence({b_.repeat(b_.text("\n"), 1, 2), indent})});
}

Expr JsonText::string(int64_t min, int64_t max) {
  if (min == 0 && max == kUnbounded) return once(string_, "string", &JsonText::make_string);
  return b_.sequence({b_.text("\""), b_.repeat(any_string_character(b_), min, max), b_.text("\"")});
}

Expr JsonText::make_string() {
  return b_.sequence({b_.text("\""), b_.repeat(any_string_character(b_), 0, kUnbounded), b_.text("\"")});
}

Result<Expr> JsonText::string_matching(std::string_view pattern) {
  KL_ASSIGN(const Expr inside, regex(b_, pattern, RegexMatch::anywhere, string_character));
  return b_.sequence({b_.text("\""), inside, b_.text("\"")});
}

std::optional<Expr> JsonText::string_of_format(std::string_view format) {
  const std::string year = "[0-9]{4}",
                    leap = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
  const std::string date = "(?:" + year +
                           "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|" +
                           "02-(?:0[1-9]|1[0-9]|2[0-8]))|" + leap + "-02-29)";
  const std::string time =
      "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
  const std::string byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  const std::string label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  const std::string hex = "[0-9a-f]";
  const std::string uri =
      "https?://" + label + "(?:\\." + label + "){0,3}(?::[1-9][0-9]{0,3})?(?:/[A-Za-z0-9._~-]*){0,16}";
  const std::string email =
      "[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,16}){0,2}@" + label + "(?:\\." + label + "){1,3}";
  const std::string pointer = "(?:/[A-Za-z0-9_-]*){0,8}", digits = "[0-9]{1,4}";
  const std::string clock =
      "T(?:" + digits + "H(?:" + digits + "M)?|" + digits + "M(?:" + digits + "S)?|" + digits + "S)";
  // Each a part of what the format allows; those of international names are held in ASCII.
  const std::map<std::string_view, std::string> patterns{
      {"date", date},
      {"time", time},
      {"date-time", date + "T" + time},
      {"uuid", hex + "{8}-" + hex + "{4}-" + hex + "{4}-" + hex + "{4}-" + hex + "{12}"},
      {"ipv4", byte + "(?:\\." + byte + "){3}"},
      {"ipv6", "(?:" + hex + "{1,4}:){7}" + hex + "{1,4}"},
      {"hostname", label + "(?:\\." + label + "){0,3}"},
      {"idn-hostname", label + "(?:\\." + label + "){0,3}"},
      {"email", email},
      {"idn-email", email},
      {"uri", uri},
      {"uri-reference", uri},
      {"iri", uri},
      {"iri-reference", uri},
      {"uri-template", uri + "(?:\\{[a-z]{1,16}\\})?"},
      {"json-pointer", pointer},
      {"relative-json-pointer", "(?:0|[1-9][0-9]{0,3})(?:#|" + pointer + ")"},
      {"duration", "P(?:" + digits + "W|" + digits + "D(?:" + clock + ")?|" + clock + ")"},
      {"regex", "[A-Za-z0-9 _-]{0,64}"}};
  const auto found = patterns.find(format);
  if (found == patterns.end()) return std::nullopt;
  auto out = string_matching("^(?:" + found->second + ")$");
  return out.ok() ? std::optional(*out) : std::nullopt;
}

// The characters of the names make a tree; at each of its nodes a string may go on with a character that no name has there, or end where no
// name ends.
Expr JsonText::string_other_than(const std::vector<std::string>& names) {
  const Expr rest = b_.repeat(b_.code_points(difference({kAnyCode}, kEscaped)), 0, kUnbounded);
  std::map<std::string, std::pair<ByteSet, bool>>
      tree;  // a beginning: the bytes that go on from it, and whether it is a name
  for (const std::string& name : names) {
    for (size_t i = 0; i < name.size(); ++i) tree[name.substr(0, i)].first.set(static_cast<uint8_t>(name[i]));
    tree[name].second = true;
  }
  if (names.empty()) tree[""];
  // Where a name goes on with a byte that is not ASCII, no character that begins with that byte is taken.
  std::vector<Expr> out;
  for (const auto& [beginning, at] : tree) {
    if (beginning.find_first_of("\"\\") != std::string::npos) continue;
    std::vector<CodeRange> taken = kEscaped;
    for (char32_t c = 0; c < 0x80; ++c)
      if (at.first[c]) taken.push_back({c, c});
    if ((at.first >> 0x80).any()) taken.push_back({0x80, kAnyCode.last});
    const bool inside = !beginning.empty() && static_cast<uint8_t>(beginning.back()) >= 0x80;
    const Expr other = b_.sequence({b_.code_points(difference({kAnyCode}, taken)), rest});
    if (!inside) out.push_back(b_.sequence({b_.text(beginning), at.second ? other : b_.optional(other)}));
  }
  return b_.sequence({b_.text("\""), b_.choice(std::move(out)), b_.text("\"")});
}

Expr JsonText::digits(int64_t min, int64_t max) { return b_.repeat(b_.bytes(byte_range('0', '9')), min, max); }

Expr JsonText::integer(const IntegerRange& range) {
  std::vector<Expr> out;
  if (!range.max || *range.max >= 0) {
    const uint64_t high = range.max ? static_cast<uint64_t>(*range.max) : kNoBound;
    out.push_back(magnitude(b_, static_cast<uint64_t>(std::max<int64_t>(0, range.min.value_or(0))), high));
  }
  if (!range.min || *range.min < 0) {
    const uint64_t low = range.max && *range.max < 0 ? size_of(*range.max) : 1;
    const uint64_t high = range.min ? size_of(*range.min) : kNoBound;
    out.push_back(b_.sequence({b_.text("-"), magnitude(b_, low, high)}));
  }
  return b_.choice(std::move(out));
}

// A magnitude between whole bounds, with a fraction: all of [low, high), and `high` with zeros alone.
Expr JsonText::decimal_magnitude(uint64_t low, bool above_low, uint64_t high, bool below_high) {
  const Expr zeros = b_.optional(b_.sequence({b_.text("."), b_.repeat(b_.text("0"), 1, kMostDigits)}));
  const Expr some = b_.sequence({b_.text("."), digits(0, kMostDigits - 1), b_.bytes(byte_range('1', '9'))});
  const Expr any = b_.optional(b_.sequence({b_.text("."), digits(1, kMostDigits)}));
  std::vector<Expr> out;
  if (low < high) {
    out.push_back(b_.sequence({b_.text(std::to_string(low)), above_low ? some : any}));
    if (high == kNoBound || low + 1 < high)
      out.push_back(b_.sequence({magnitude(b_, low + 1, high == kNoBound ? kNoBound : high - 1), any}));
  }
  if (high != kNoBound && !below_high && (low < high || (low == high && !above_low)))
    out.push_back(b_.sequence({b_.text(std::to_string(high)), zeros}));
  return b_.choice(std::move(out));
}

Expr JsonText::number(const NumberRange& r) {
  if (!r.min && !r.max) return number();
  std::vector<Expr> out;
  if (!r.max || *r.max >= 0) {
    const uint64_t high = r.max ? static_cast<uint64_t>(*r.max) : kNoBound;
    const bool bounded = r.min && *r.min >= 0;
    out.push_back(
        decimal_magnitude(bounded ? static_cast<uint64_t>(*r.min) : 0, bounded && r.above_min, high, r.below_max));
  }
  if (!r.min || *r.min < 0) {
    const uint64_t high = r.min ? size_of(*r.min) : kNoBound;
    const bool bounded = r.max && *r.max < 0;
    out.push_back(b_.sequence(
        {b_.text("-"), decimal_magnitude(bounded ? size_of(*r.max) : 0, !bounded || r.below_max, high, r.above_min)}));
  }
  return b_.choice(std::move(out));
}

Expr JsonText::make_number() {
  const Expr whole =
      b_.choice({b_.text("0"), b_.sequence({b_.bytes(byte_range('1', '9')), digits(0, kMostDigits - 1)})});
  const Expr fraction = b_.sequence({b_.text("."), digits(1, kMostDigits)});
  const Expr exponent = b_.sequence(
      {b_.bytes(ByteSet().set('e').set('E')), b_.optional(b_.bytes(ByteSet().set('+').set('-'))), digits(1, 2)});
  return b_.sequence({b_.optional(b_.text("-")), whole, b_.optional(fraction), b_.optional(exponent)});
}

Expr JsonText::make_value() {
  return b_.choice({object(), array(), string(0, kUnbounded), number(), boolean(), null()});
}

Expr JsonText::comma_list(Expr item) {
  return b_.sequence({item, b_.repeat(b_.sequence({b_.text(","), space(), item}), 0, kUnbounded)});
}

Expr JsonText::make_object() {
  const Expr member = b_.sequence({string(0, kUnbounded), b_.text(":"), space(), value()});
  return b_.sequence({b_.text("{"), space(), b_.optional(b_.sequence({comma_list(member), space()})), b_.text("}")});
}

Expr JsonText::make_array() {
  return b_.sequence({b_.text("["), space(), b_.optional(b_.sequence({comma_list(value()), space()})), b_.text("]")});
}

}  // namespace kinglet::grammar
