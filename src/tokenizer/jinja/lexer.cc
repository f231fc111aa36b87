#include "tokenizer/jinja/lexer.h"

#include <algorithm>

#include "tokenizer/jinja/failure.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/unicode.h"

namespace kinglet::jinja {
namespace {

constexpr size_t kMaxSourceBytes = size_t{4} << 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// All line ends as \n, and without the last one.
std::string normalize(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

size_t skip_space(std::string_view text, size_t pos) { return text.size() - strip_left(text.substr(pos)).size(); }

bool is_blank(std::string_view text) { return strip_left(text).empty(); }

/// Undoes the escapes of a Python string literal.
class Unescaper {
 public:
  Unescaper(std::string_view text, int line) : text_(text), line_(line) {}

  std::string run() {
    while (pos_ < text_.size()) {
      const char c = text_[pos_++];
      if (c != '\\' || pos_ == text_.size()) out_ += c;
      else escape(text_[pos_++]);
    }
    return std::move(out_);
  }

 private:
  void escape(char c) {
    static constexpr std::string_view kFrom = "abfnrtv\\'\"", kTo = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t i = kFrom.find(c); i != kFrom.npos) out_ += kTo[i];
    else if (c == '\n') return;  // a line that goes on
    else if (c == 'x') append_utf8(out_, hex(2));
    else if (c == 'u') append_utf8(out_, unicode(hex(4)));
    else if (c == 'U') append_utf8(out_, unicode(hex(8)));
    else if (c == 'N') raise_unsupported(line_, "\\N{{...}} in a string is outside the subset");
    else if (c >= '0' && c <= '7') append_utf8(out_, octal(c));
    else (out_ += '\\') += c;
  }

  uint32_t hex(size_t digits) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      const char c = pos_ < text_.size() ? text_[pos_] : '\0';
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) raise_syntax(line_, "truncated escape in a string");
      value = value << 4 | static_cast<uint32_t>(digit);
      ++pos_;
    }
    return value;
  }

  uint32_t octal(char first) {
    auto value = static_cast<uint32_t>(first - '0');
    for (int i = 0; i < 2 && pos_ < text_.size() && text_[pos_] >= '0' && text_[pos_] <= '7'; ++i) {
      value = value << 3 | static_cast<uint32_t>(text_[pos_++] - '0');
    }
    return value;
  }

  uint32_t unicode(uint32_t value) {
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
      raise_syntax(line_, "illegal Unicode character in a string");
    return value;
  }

  std::string_view text_;
  int line_;
  size_t pos_ = 0;
  std::string out_;
};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize(source)) {}

  std::vector<Token> run() {
    while (pos_ < source_.size()) root();
    push(Token::Kind::end, {});
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(pos_); }
  bool at(std::string_view text) const { return rest().starts_with(text); }
  void push(Token::Kind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text)}); }

  /// Moves to `to`, counting lines.
  void advance(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(pos_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    if (to > pos_) line_starting_ = source_[to - 1] == '\n';
    pos_ = to;
  }

  /// Text up to the next tag, then that tag.
  void root() {
    size_t open = pos_;
    while (open < source_.size() && !is_open(open)) ++open;
    if (open == source_.size()) {
      push(Token::Kind::data, source_.substr(pos_));
      return advance(open);
    }
    const char type = source_[open + 1];
    const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    data(open, sign, type != '{');
    advance(open + 2 + (sign == '-' || sign == '+' ? 1 : 0));
    if (type == '#') comment();
    else if (type == '{') tag("}}", Token::Kind::variable_begin, Token::Kind::variable_end);
    else if (!raw()) tag("%}", Token::Kind::block_begin, Token::Kind::block_end);
  }

  bool is_open(size_t pos) const {
    return source_[pos] == '{' && pos + 1 < source_.size() &&
           (source_[pos + 1] == '%' || source_[pos + 1] == '{' || source_[pos + 1] == '#');
  }

  /// The text before a tag at `open`: `sign` is the character after the tag's opening. White space before a block or
  /// comment that starts its line goes, unless '+' says to keep it.
  void data(size_t open, char sign, bool is_block) {
    std::string_view text = std::string_view(source_).substr(pos_, open - pos_);
    if (sign == '-') {
      text = strip_right(text);
    } else if (sign != '+' && is_block) {
      const size_t line_begin = text.rfind('\n') + 1;  // npos + 1 is 0
      if ((line_begin > 0 || line_starting_) && is_blank(text.substr(line_begin))) text = text.substr(0, line_begin);
    }
    if (!text.empty()) push(Token::Kind::data, std::string(text));
    advance(open);
  }

  /// Past the end of a block or comment whose closing mark is at `close`; a line end right after it goes.
  void close_block(size_t close, char sign) {
    size_t end = close + 2;
    if (sign == '-') end = skip_space(source_, end);
    else if (sign != '+' && end < source_.size() && source_[end] == '\n') ++end;
    advance(end);
  }

  void comment() {
    const size_t close = source_.find("#}", pos_);
    if (close == std::string::npos) raise_syntax(line_, "Missing end of comment tag");
    // The sign belongs to the end only where it does not open the comment: {#-#} has one sign and no text.
    const char sign = close > pos_ ? source_[close - 1] : '\0';
    close_block(close, sign);
  }

  /// {% raw %}...{% endraw %}, at the name. False where the block is another.
  bool raw() {
    size_t pos = skip_space(source_, pos_);
    if (!std::string_view(source_).substr(pos).starts_with("raw")) return false;
    pos = skip_space(source_, pos + 3);
    const std::string_view after = std::string_view(source_).substr(pos);
    if (after.starts_with("-%}")) pos = skip_space(source_, pos + 3);
    else if (after.starts_with("%}")) pos += 2;
    else return false;
    advance(pos);
    raw_text();
    return true;
  }

  void raw_text() {
    const int begin_line = line_;
    for (size_t open = source_.find("{%", pos_); open != std::string::npos; open = source_.find("{%", open + 1)) {
      size_t pos = open + 2;
      const char sign = pos < source_.size() ? source_[pos] : '\0';
      if (sign == '-' || sign == '+') ++pos;
      pos = skip_space(source_, pos);
      if (!std::string_view(source_).substr(pos).starts_with("endraw")) continue;
      pos = skip_space(source_, pos + 6);
      const char end_sign = pos < source_.size() ? source_[pos] : '\0';
      if (end_sign == '-' || end_sign == '+') ++pos;
      if (!std::string_view(source_).substr(pos).starts_with("%}")) continue;
      data(open, sign, true);
      return close_block(pos, end_sign);
    }
    raise_syntax(begin_line, "Missing end of raw directive");
  }

  /// The inside of a block or variable, up to its closing mark.
  void tag(std::string_view close, Token::Kind begin, Token::Kind end) {
    push(begin, {});
    std::string open_brackets;
    while (pos_ < source_.size()) {
      if (const size_t next = skip_space(source_, pos_); next != pos_) {
        advance(next);
        continue;
      }
      if (open_brackets.empty() && close_tag(close, end)) return;
      if (!number() && !name() && !string()) op(open_brackets);
    }
    push(Token::Kind::end, {});
    raise_syntax(line_, "unexpected end of template inside a tag");
  }

  bool close_tag(std::string_view close, Token::Kind kind) {
    const char sign = source_[pos_] == '-' || (source_[pos_] == '+' && close == "%}") ? source_[pos_] : '\0';
    const size_t mark = pos_ + (sign != '\0' ? 1 : 0);
    if (!std::string_view(source_).substr(mark).starts_with(close)) return false;
    push(kind, {});
    if (close == "%}") close_block(mark, sign);
    else advance(sign == '-' ? skip_space(source_, mark + 2) : mark + 2);
    return true;
  }

  /// Past digits that single underscores may separate.
  size_t digits(size_t pos, bool (*accept)(char)) const {
    while (pos < source_.size() &&
           (accept(source_[pos]) || (source_[pos] == '_' && pos + 1 < source_.size() && accept(source_[pos + 1])))) {
      ++pos;
    }
    return pos;
  }

  bool number() {
    if (!is_digit(source_[pos_])) return false;
    size_t end = digits(pos_, is_digit);
    Token::Kind kind = Token::Kind::integer;
    if (pos_ == 0 || source_[pos_ - 1] != '.') {
      if (const size_t fraction = fraction_end(end); fraction != end) kind = Token::Kind::real, end = fraction;
    }
    if (kind == Token::Kind::integer) end = integer_end();
    std::string text;
    for (size_t i = pos_; i < end; ++i) {
      if (source_[i] != '_') text += source_[i];
    }
    push(kind, std::move(text));
    advance(end);
    return true;
  }

  /// The end of ".digits", an exponent or both at `pos`, or `pos` itself.
  size_t fraction_end(size_t pos) const {
    size_t end = pos;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) end = digits(end + 1, is_digit);
    size_t exponent = end;
    if (exponent < source_.size() && (source_[exponent] == 'e' || source_[exponent] == 'E')) {
      ++exponent;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
      if (exponent < source_.size() && is_digit(source_[exponent])) end = digits(exponent, is_digit);
    }
    return end;
  }

  size_t integer_end() const {
    if (source_[pos_] != '0') return digits(pos_, is_digit);
    const char base = pos_ + 1 < source_.size() ? static_cast<char>(source_[pos_ + 1] | 0x20) : '\0';
    bool (*accept)(char) = nullptr;
    if (base == 'b') accept = [](char c) { return c == '0' || c == '1'; };
    if (base == 'o') accept = [](char c) { return c >= '0' && c <= '7'; };
    if (base == 'x') accept = [](char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); };
    if (accept) {
      const size_t end = digits(pos_ + 2, accept);
      if (end > pos_ + 2) return end;
    }
    return digits(pos_, [](char c) { return c == '0'; });
  }

  bool name() {
    size_t end = pos_;
    while (end < source_.size()) {
      size_t next = end;
      const uint32_t c = next_code_point(source_, next);
      if (c != '_' && !is_alnum(c)) break;
      end = next;
    }
    if (end == pos_) return false;
    push(Token::Kind::name, source_.substr(pos_, end - pos_));
    advance(end);
    return true;
  }

  bool string() {
    const char mark = source_[pos_];
    if (mark != '\'' && mark != '"') return false;
    size_t end = pos_ + 1;
    while (end < source_.size() && source_[end] != mark) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) raise_syntax(line_, "a string does not end");
    push(Token::Kind::string, Unescaper(std::string_view(source_).substr(pos_ + 1, end - pos_ - 1), line_).run());
    advance(end + 1);
    return true;
  }

  void op(std::string& open_brackets) {
    static constexpr std::string_view kOps[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                                "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto it = std::find_if(std::begin(kOps), std::end(kOps), [this](std::string_view o) { return at(o); });
    if (it == std::end(kOps))
      raise_syntax(line_, "unexpected char {}", quote(rest().substr(0, byte_offset(rest(), 1))));
    balance(it->front(), open_brackets);
    push(Token::Kind::op, std::string(*it));
    advance(pos_ + it->size());
  }

  void balance(char c, std::string& open_brackets) const {
    if (c == '(') open_brackets += ')';
    if (c == '[') open_brackets += ']';
    if (c == '{') open_brackets += '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (open_brackets.empty()) raise_syntax(line_, "unexpected '{}'", c);
    if (open_brackets.back() != c) raise_syntax(line_, "unexpected '{}', expected '{}'", c, open_brackets.back());
    open_brackets.pop_back();
  }

  std::string source_;
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  if (source.size() > kMaxSourceBytes) raise_limit("a template of more than {} bytes", kMaxSourceBytes);
  return Lexer(source).run();
}

}  // namespace kinglet::jinja
