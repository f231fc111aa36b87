// Characters of a small language's source, one after the other: what the readers of patterns and grammars share.
#pragma once

#include <optional>
#include <string_view>

#include "tokenizer/utf8.h"

namespace kinglet::grammar {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

 protected:
  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }  ///< NUL at the end
  bool take(char c) {
    if (!more() || peek() != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view s) {
    if (!text_.substr(at_).starts_with(s)) return false;
    at_ += s.size();
    return true;
  }
  /// The next character; nothing (and nothing is taken) where the bytes are no UTF-8 or at their end.
  std::optional<char32_t> take_character() {
    if (!more()) return std::nullopt;
    const Utf8Char c = decode_utf8(text_.data() + at_, text_.data() + text_.size());
    if (!c.valid) return std::nullopt;
    at_ += c.size;
    return c.code;
  }
  /// A number of `digits` hexadecimal digits.
  std::optional<char32_t> take_hex(int digits) {
    char32_t code = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      const int value = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (value < 0) return std::nullopt;
      code = code << 4 | static_cast<char32_t>(value);
    }
    return code;
  }
  /// A decimal number up to `most`; nothing where there is none or it is larger.
  std::optional<int64_t> take_number(int64_t most) {
    std::optional<int64_t> out;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      out = out.value_or(0) * 10 + (peek() - '0');
      if (*out > most) return std::nullopt;
    }
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace kinglet::grammar
