#include "tokenizer/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>

namespace kinglet::jinja {
namespace {

constexpr uint32_t kRawByte = 0x110000;  // first value past Unicode: a byte that is no UTF-8

utf8proc_category_t category(uint32_t c) {
  return c < kRawByte ? utf8proc_category(static_cast<utf8proc_int32_t>(c)) : UTF8PROC_CATEGORY_CN;
}

bool is_continuation(std::string_view text, size_t pos) {
  return pos < text.size() && (static_cast<uint8_t>(text[pos]) & 0xC0) == 0x80;
}

/// Length that the first byte announces, 0 for a byte that cannot be first.
int sequence_length(uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first >= 0xE0 && first < 0xF0) return 3;
  if (first >= 0xF0 && first < 0xF5) return 4;
  return 0;
}

/// Upper case that is longer than one character, for the letters that a chat may hold.
const char* special_upper(uint32_t c) {
  switch (c) {
    case 0x00DF:
      return "SS";
    case 0x0149:
      return "\xCA\xBC"
             "N";
    case 0xFB00:
      return "FF";
    case 0xFB01:
      return "FI";
    case 0xFB02:
      return "FL";
    case 0xFB03:
      return "FFI";
    case 0xFB04:
      return "FFL";
    default:
      return nullptr;
  }
}

void append_upper(std::string& out, uint32_t c) {
  if (const char* special = special_upper(c)) out += special;
  else append_utf8(out, c < kRawByte ? static_cast<uint32_t>(utf8proc_toupper(static_cast<int32_t>(c))) : c);
}

void append_title(std::string& out, uint32_t c) {
  if (const char* special = special_upper(c)) {
    out += special[0];
    out += to_lower(std::string_view(special).substr(1));
  } else {
    append_utf8(out, c < kRawByte ? static_cast<uint32_t>(utf8proc_totitle(static_cast<int32_t>(c))) : c);
  }
}

/// `final_sigma`: the character ends a word, where Greek writes its sigma differently.
void append_lower(std::string& out, uint32_t c, bool final_sigma) {
  if (c == 0x03A3 && final_sigma) out += "\xCF\x82";
  else if (c == 0x0130) out += "i\xCC\x87";
  else append_utf8(out, c < kRawByte ? static_cast<uint32_t>(utf8proc_tolower(static_cast<int32_t>(c))) : c);
}

bool ends_word(std::string_view text, size_t next) {
  if (next >= text.size()) return true;
  return !is_cased(next_code_point(text, next));
}

}  // namespace

uint32_t next_code_point(std::string_view text, size_t& pos) {
  const auto first = static_cast<uint8_t>(text[pos]);
  const int length = sequence_length(first);
  if (length == 1) return ++pos, first;
  uint32_t c = length == 2 ? first & 0x1Fu : length == 3 ? first & 0x0Fu : first & 0x07u;
  for (int i = 1; i < length; ++i) {
    if (!is_continuation(text, pos + static_cast<size_t>(i))) return ++pos, kRawByte + first;
    c = c << 6 | (static_cast<uint8_t>(text[pos + static_cast<size_t>(i)]) & 0x3Fu);
  }
  const bool overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
  if (length == 0 || overlong || c >= kRawByte || (c >= 0xD800 && c < 0xE000)) return ++pos, kRawByte + first;
  pos += static_cast<size_t>(length);
  return c;
}

void append_utf8(std::string& out, uint32_t c) {
  const auto put = [&out](uint32_t byte) { out += static_cast<char>(byte); };
  if (c >= kRawByte) return put(c - kRawByte);
  if (c < 0x80) return put(c);
  if (c < 0x800) return put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  if (c < 0x10000) return put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
}

size_t count_code_points(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; })) return text.size();
  size_t n = 0;
  for (size_t pos = 0; pos < text.size(); ++n) next_code_point(text, pos);
  return n;
}

size_t byte_offset(std::string_view text, size_t n) {
  size_t pos = 0;
  while (n-- > 0 && pos < text.size()) next_code_point(text, pos);
  return pos;
}

bool is_space(uint32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_alpha(uint32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_alnum(uint32_t c) {
  const auto kind = category(c);
  return is_alpha(c) || (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO);
}

bool is_printable(uint32_t c) {
  if (c == ' ') return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_upper(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LU; }
bool is_lower(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }
bool is_cased(uint32_t c) { return is_upper(c) || is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT; }

std::string to_upper(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) append_upper(out, next_code_point(text, pos));
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (size_t pos = 0; pos < text.size();) {
    const uint32_t c = next_code_point(text, pos);
    append_lower(out, c, in_word && ends_word(text, pos));
    in_word = is_cased(c);
  }
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (size_t pos = 0; pos < text.size();) {
    const uint32_t c = next_code_point(text, pos);
    if (in_word) append_lower(out, c, ends_word(text, pos));
    else append_title(out, c);
    in_word = is_cased(c);
  }
  return out;
}

std::string to_capitalized(std::string_view text) {
  if (text.empty()) return {};
  std::string out;
  size_t pos = 0;
  append_title(out, next_code_point(text, pos));
  return out + to_lower(text.substr(pos));
}

std::string_view strip_left(std::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    size_t next = pos;
    if (!is_space(next_code_point(text, next))) break;
    pos = next;
  }
  return text.substr(pos);
}

std::string_view strip_right(std::string_view text) {
  size_t end = 0;
  for (size_t pos = 0; pos < text.size();) {
    if (!is_space(next_code_point(text, pos))) end = pos;
  }
  return text.substr(0, end);
}

namespace {

/// Whether the character that is text[begin, end) is one of `set`.
bool holds(std::string_view set, std::string_view character) {
  for (size_t pos = 0; pos < set.size();) {
    const size_t begin = pos;
    next_code_point(set, pos);
    if (set.substr(begin, pos - begin) == character) return true;
  }
  return false;
}

}  // namespace

std::string_view strip_left(std::string_view text, std::string_view set) {
  size_t pos = 0;
  while (pos < text.size()) {
    size_t next = pos;
    next_code_point(text, next);
    if (!holds(set, text.substr(pos, next - pos))) break;
    pos = next;
  }
  return text.substr(pos);
}

std::string_view strip_right(std::string_view text, std::string_view set) {
  size_t end = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    next_code_point(text, pos);
    if (!holds(set, text.substr(begin, pos - begin))) end = pos;
  }
  return text.substr(0, end);
}

}  // namespace kinglet::jinja
