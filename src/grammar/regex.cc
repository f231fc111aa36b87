#include "grammar/regex.h"

#include "grammar/scanner.h"
#include "host/error.h"

namespace kinglet::grammar {
namespace {

using Expr = Builder::Expr;
using Ranges = std::vector<CodeRange>;

constexpr int kDeepest = 200;
constexpr int64_t kMostRepeats = 10'000;

const Ranges kDigits{{'0', '9'}};
const Ranges kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const Ranges kSpace{{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
                    {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const Ranges kLineEnds{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

class Parser : Scanner {
 public:
  Parser(Builder& builder, std::string_view pattern, RegexMatch match, const WriteCharacter& write)
      : Scanner(pattern), b_(builder), match_(match), write_(write) {}

  Result<Expr> run() {
    KL_ASSIGN(const Expr all, alternatives(0));
    if (at_ < text_.size()) return fail("a ')' without '('");
    return all;
  }

 private:
  Status fail(std::string_view what) const {
    return error(Code::invalid_argument, "pattern '{}': {} at {}", text_, what, at_ + 1);
  }
  Status refuse(std::string_view what) const {
    return error(Code::unsupported, "pattern '{}': {} cannot be held", text_, what);
  }
  Result<Expr> alternatives(int depth) {
    if (depth > kDeepest) return fail("groups that are nested too deeply");
    std::vector<Expr> out;
    do {
      KL_ASSIGN(const Expr one, alternative(depth));
      out.push_back(one);
    } while (take('|'));
    return out.size() == 1 ? out[0] : b_.choice(std::move(out));
  }

  Result<Expr> alternative(int depth) {
    const bool open = match_ == RegexMatch::anywhere && depth == 0;
    const bool from_start = take('^');
    if (from_start && depth > 0) return refuse("'^' inside a group");
    bool to_end = false;
    std::vector<Expr> parts;
    if (open && !from_start) parts.push_back(anything());
    while (more() && peek() != '|' && peek() != ')') {
      if (take('$')) {
        if (depth > 0 || (more() && peek() != '|')) return refuse("'$' before the end");
        to_end = true;
        break;
      }
      KL_ASSIGN(const Expr part, quantified(depth));
      parts.push_back(part);
    }
    if (open && !to_end) parts.push_back(anything());
    return b_.sequence(std::move(parts));
  }

  Expr anything() { return b_.repeat(write_(b_, {kAnyCode}), 0, kUnbounded); }

  Result<Expr> quantified(int depth) {
    KL_ASSIGN(Expr e, atom(depth));
    while (more()) {
      int64_t min = 0, max = kUnbounded;
      if (take('*')) {
      } else if (take('+')) {
        min = 1;
      } else if (take('?')) {
        max = 1;
      } else if (peek() == '{') {
        ++at_;
        KL_TRY(bounds(min, max));
      } else {
        break;
      }
      if (take('+')) return refuse("a possessive quantifier");
      (void)take('?');  // lazy: the same texts
      e = b_.repeat(e, min, max);
    }
    return e;
  }

  Status bounds(int64_t& min, int64_t& max) {
    KL_TRY(number(min));
    max = min;
    if (take(',')) {
      max = kUnbounded;
      if (more() && peek() != '}') KL_TRY(number(max));
    }
    if (!take('}')) return fail("a '{' that is no quantifier (write \\{)");
    return max != kUnbounded && max < min ? fail("a quantifier whose bounds are in the wrong order") : ok_status();
  }

  Status number(int64_t& out) {
    const auto value = take_number(kMostRepeats);
    if (!value) return fail("a '{' that is no quantifier (write \\{), or one that is too large");
    out = *value;
    return ok_status();
  }

  Result<Expr> atom(int depth) {
    const char c = peek();
    if (c == '(') return group(depth);
    if (c == '[') {
      ++at_;
      KL_ASSIGN(const Ranges set, char_class());
      return write_(b_, set);
    }
    if (c == '.') return ++at_, write_(b_, complement(kLineEnds));
    if (c == '*' || c == '+' || c == '?' || c == '{') return fail("a quantifier of nothing");
    if (c == '^') return refuse("'^' after the beginning");
    if (c == '\\') {
      ++at_;
      KL_ASSIGN(const Ranges set, escape(false));
      return write_(b_, set);
    }
    KL_ASSIGN(const char32_t code, character());
    return write_(b_, {{code, code}});
  }

  Result<Expr> group(int depth) {
    ++at_;
    if (take("?:")) {
    } else if (take("?=") || take("?!") || take("?<=") || take("?<!")) {
      return refuse("look-around");
    } else if (take("?<") || take("?P<")) {
      while (more() && peek() != '>') ++at_;
      if (!take('>')) return fail("a group's name that does not end");
    } else if (more() && peek() == '?') {
      return refuse("a group with flags");
    }
    KL_ASSIGN(const Expr inside, alternatives(depth + 1));
    if (!take(')')) return fail("a '(' without ')'");
    return inside;
  }

  Result<char32_t> character() {
    const auto code = take_character();
    if (!code) return fail("bytes that are no UTF-8");
    return *code;
  }

  static Ranges one(char32_t c) { return {{c, c}}; }

  // Behind a backslash.
  Result<Ranges> escape(bool in_class) {
    if (!more()) return fail("a '\\' at the end");
    const char c = peek();
    switch (c) {
      case 'd':
        return ++at_, kDigits;
      case 'D':
        return ++at_, complement(kDigits);
      case 'w':
        return ++at_, kWord;
      case 'W':
        return ++at_, complement(kWord);
      case 's':
        return ++at_, kSpace;
      case 'S':
        return ++at_, complement(kSpace);
      case 'n':
        return ++at_, one('\n');
      case 'r':
        return ++at_, one('\r');
      case 't':
        return ++at_, one('\t');
      case 'f':
        return ++at_, one('\f');
      case 'v':
        return ++at_, one('\v');
      case '0':
        return ++at_, one(0);
      case 'b':
        if (in_class) return ++at_, one('\b');
        return refuse("\\b");
      case 'x':
      case 'u': {
        ++at_;
        const auto code = take_hex(c == 'x' ? 2 : 4);
        if (!code) return fail("an escape that is not hexadecimal");
        return one(*code);
      }
      default:
        break;
    }
    if (c >= '1' && c <= '9') return refuse("a back reference");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return refuse(std::string("\\") + c);
    KL_ASSIGN(const char32_t code, character());
    return one(code);
  }

  Result<Ranges> class_item() {
    if (take('\\')) return escape(true);
    KL_ASSIGN(const char32_t code, character());
    return one(code);
  }

  // Behind '['.
  Result<Ranges> char_class() {
    const bool negated = take('^');
    Ranges set;
    while (more() && peek() != ']') {
      KL_ASSIGN(Ranges item, class_item());
      const bool single = item.size() == 1 && item[0].first == item[0].last;
      if (single && at_ + 1 < text_.size() && peek() == '-' && text_[at_ + 1] != ']') {
        ++at_;
        KL_ASSIGN(const Ranges last, class_item());
        if (last.size() != 1 || last[0].first != last[0].last || last[0].first < item[0].first)
          return fail("a range whose ends are in the wrong order");
        item[0].last = last[0].last;
      }
      set.insert(set.end(), item.begin(), item.end());
    }
    if (!take(']')) return fail("a '[' without ']'");
    return negated ? complement(std::move(set)) : normalized(std::move(set));
  }

  Builder& b_;
  RegexMatch match_;
  const WriteCharacter& write_;
};

}  // namespace

Builder::Expr plain_character(Builder& builder, std::vector<CodeRange> ranges) {
  return builder.code_points(std::move(ranges));
}

Result<Builder::Expr> regex(Builder& builder, std::string_view pattern, RegexMatch match, const WriteCharacter& write) {
  return Parser(builder, pattern, match, write).run();
}

Result<Grammar> compile_regex(std::string_view pattern) {
  Builder builder;
  KL_ASSIGN(const Builder::Expr whole, regex(builder, pattern, RegexMatch::whole));
  const RuleId root = builder.declare("pattern");
  builder.define(root, whole);
  return builder.build(root);
}

}  // namespace kinglet::grammar
