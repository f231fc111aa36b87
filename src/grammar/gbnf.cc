#include "grammar/gbnf.h"

#include <algorithm>
#include <map>
#include <string>

#include "grammar/builder.h"
#include "grammar/scanner.h"
#include "host/error.h"

namespace kinglet::grammar {
namespace {

using Expr = Builder::Expr;

constexpr int kDeepest = 200;
constexpr int64_t kMostRepeats = 10'000;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser : Scanner {
 public:
  explicit Parser(std::string_view source) : Scanner(source) {}

  Result<Grammar> run() {
    skip(Newlines::are_space);
    while (more()) KL_TRY(rule());
    const auto root = rules_.find("root");
    if (root == rules_.end()) return Status(Code::invalid_argument, "the grammar has no rule 'root'");
    return b_.build(root->second);
  }

 private:
  enum class Newlines { end_the_rule, are_space };

  Status fail(std::string_view what) const {
    return error(Code::invalid_argument, "grammar, line {}: {}",
                 1 + std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(at_), '\n'), what);
  }
  void skip(Newlines newlines) {
    while (more()) {
      if (peek() == '#') {
        while (more() && peek() != '\n') ++at_;
      } else if (peek() == ' ' || peek() == '\t' ||
                 (newlines == Newlines::are_space && (peek() == '\n' || peek() == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  Result<std::string> name() {
    const size_t first = at_;
    while (more() && is_name(peek())) ++at_;
    if (at_ == first) return fail("a rule's name was expected");
    return std::string(text_.substr(first, at_ - first));
  }

  RuleId rule_of(const std::string& name) {
    const auto [at, added] = rules_.try_emplace(name, 0);
    if (added) at->second = b_.declare(name);
    return at->second;
  }

  Status rule() {
    KL_ASSIGN(const std::string called, name());
    skip(Newlines::end_the_rule);
    if (!text_.substr(at_).starts_with("::=")) return fail("'::=' was expected behind the rule's name");
    at_ += 3;
    skip(Newlines::are_space);
    KL_ASSIGN(const Expr body, alternatives(0));
    b_.define(rule_of(called), body);
    if (more() && peek() != '\n' && peek() != '\r') return fail("the rule does not end here");
    skip(Newlines::are_space);
    return ok_status();
  }

  Result<Expr> alternatives(int depth) {
    if (depth > kDeepest) return fail("groups that are nested too deeply");
    std::vector<Expr> out;
    while (true) {
      KL_ASSIGN(const Expr one, sequence(depth));
      out.push_back(one);
      if (!take('|')) break;
      skip(Newlines::are_space);
    }
    return out.size() == 1 ? out[0] : b_.choice(std::move(out));
  }

  Result<Expr> sequence(int depth) {
    const Newlines newlines = depth > 0 ? Newlines::are_space : Newlines::end_the_rule;
    std::vector<Expr> parts;
    while (more() && peek() != '|' && peek() != ')' && peek() != '\n' && peek() != '\r') {
      KL_ASSIGN(Expr e, item(depth));
      skip(newlines);
      KL_TRY(quantify(e, newlines));
      parts.push_back(e);
    }
    return b_.sequence(std::move(parts));
  }

  Status quantify(Expr& e, Newlines newlines) {
    while (true) {
      if (take('*')) e = b_.repeat(e, 0, kUnbounded);
      else if (take('+')) e = b_.repeat(e, 1, kUnbounded);
      else if (take('?')) e = b_.optional(e);
      else if (take('{')) {
        int64_t min = 0, max = kUnbounded;
        KL_TRY(bounds(min, max));
        e = b_.repeat(e, min, max);
      } else {
        return ok_status();
      }
      skip(newlines);
    }
  }

  Status bounds(int64_t& min, int64_t& max) {
    skip(Newlines::are_space);
    if (peek() != ',') KL_TRY(number(min));
    max = min;
    skip(Newlines::are_space);
    if (take(',')) {
      skip(Newlines::are_space);
      max = kUnbounded;
      if (peek() != '}') KL_TRY(number(max));
      skip(Newlines::are_space);
    }
    if (!take('}')) return fail("'}' was expected");
    return max != kUnbounded && max < min ? fail("bounds in the wrong order") : ok_status();
  }

  Status number(int64_t& out) {
    const auto value = take_number(kMostRepeats);
    if (!value) return fail("a number of repeats was expected, at most 10000");
    out = *value;
    return ok_status();
  }

  Result<Expr> item(int depth) {
    if (take('"')) return literal();
    if (take('[')) return char_class();
    if (take('.')) return b_.code_points({kAnyCode});
    if (take('(')) {
      skip(Newlines::are_space);
      KL_ASSIGN(const Expr inside, alternatives(depth + 1));
      skip(Newlines::are_space);
      if (!take(')')) return fail("a '(' without ')'");
      return inside;
    }
    KL_ASSIGN(const std::string called, name());
    return b_.call(rule_of(called));
  }

  Result<Expr> literal() {
    std::vector<Expr> parts;
    while (more() && peek() != '"') {
      KL_ASSIGN(const char32_t c, character());
      parts.push_back(b_.code_points({{c, c}}));
    }
    if (!take('"')) return fail("a literal that does not end");
    return b_.sequence(std::move(parts));
  }

  Result<Expr> char_class() {
    const bool negated = take('^');
    std::vector<CodeRange> set;
    while (more() && peek() != ']') {
      KL_ASSIGN(const char32_t first, character());
      char32_t last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        KL_ASSIGN(last, character());
      }
      if (last < first) return fail("a range whose ends are in the wrong order");
      set.push_back({first, last});
    }
    if (!take(']')) return fail("a '[' without ']'");
    return b_.code_points(negated ? complement(std::move(set)) : std::move(set));
  }

  Result<char32_t> character() {
    if (take('\\')) return escape();
    const auto code = take_character();
    if (!code) return fail("bytes that are no UTF-8");
    return *code;
  }

  Result<char32_t> escape() {
    if (!more()) return fail("a '\\' at the end");
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      case 'U':
        return hex(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(c);
      default:
        return fail("an escape that is not known");
    }
  }

  Result<char32_t> hex(int digits) {
    const auto code = take_hex(digits);
    if (!code) return fail("an escape that is not hexadecimal");
    return *code;
  }

  Builder b_;
  std::map<std::string, RuleId> rules_;
};

}  // namespace

Result<Grammar> parse_gbnf(std::string_view source) { return Parser(source).run(); }

}  // namespace kinglet::grammar
