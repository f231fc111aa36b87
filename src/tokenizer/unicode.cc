#include "tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

constexpr std::array<uint8_t, 128> make_ascii_class() {
  std::array<uint8_t, 128> table{};
  for (int c = 0; c < 128; ++c) {
    const bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    const bool newline = c == '\r' || c == '\n', space = c == ' ' || c == '\t' || c == '\v' || c == '\f';
    table[static_cast<size_t>(c)] = upper     ? kUpperLetter
                                    : lower   ? kLowerLetter
                                    : digit   ? kNumber
                                    : newline ? kNewline
                                    : space   ? kSpace
                                              : kOtherChar;
  }
  return table;
}

utf8proc_category_t category(char32_t code) { return utf8proc_category(static_cast<utf8proc_int32_t>(code)); }

utf8proc_option_t options(NormalForm form) {
  switch (form) {
    case NormalForm::nfc:
      return static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    case NormalForm::nfd:
      return static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
    case NormalForm::nfkc:
      return static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    case NormalForm::nfkd:
      return static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  }
  return UTF8PROC_STABLE;
}

/// Appends the normal form of well-formed characters.
void append_normalized(std::vector<utf8proc_int32_t>& codes, NormalForm form, std::string& out) {
  if (codes.empty()) return;
  // Most characters stay one; a few become many (U+FDFA becomes 18), so ask for the length where the guess is short.
  std::vector<utf8proc_int32_t> result;
  const utf8proc_option_t flags = options(form);
  int last_boundclass = 0;
  std::vector<utf8proc_int32_t> piece(32);
  for (const utf8proc_int32_t code : codes) {
    const utf8proc_ssize_t n = utf8proc_decompose_char(code, piece.data(), static_cast<utf8proc_ssize_t>(piece.size()),
                                                       flags, &last_boundclass);
    if (n < 0 || static_cast<size_t>(n) > piece.size()) {
      result.push_back(code);  // unassigned to utf8proc's tables, or longer than Unicode has: unchanged
    } else {
      result.insert(result.end(), piece.begin(), piece.begin() + n);
    }
  }
  // Canonical order: stable by combining class inside each run of marks.
  for (size_t i = 0; i < result.size();) {
    const auto ccc = [&](size_t k) { return utf8proc_get_property(result[k])->combining_class; };
    if (ccc(i) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < result.size() && ccc(end) != 0) ++end;
    std::stable_sort(result.begin() + static_cast<std::ptrdiff_t>(i), result.begin() + static_cast<std::ptrdiff_t>(end),
                     [](utf8proc_int32_t a, utf8proc_int32_t b) {
                       return utf8proc_get_property(a)->combining_class < utf8proc_get_property(b)->combining_class;
                     });
    i = end;
  }
  auto size = static_cast<utf8proc_ssize_t>(result.size());
  if (form == NormalForm::nfc || form == NormalForm::nfkc) {
    size = utf8proc_normalize_utf32(result.data(), size, flags);
  }
  for (utf8proc_ssize_t i = 0; i < size; ++i) append_utf8(static_cast<char32_t>(result[static_cast<size_t>(i)]), out);
  codes.clear();
}

}  // namespace

constexpr std::array<uint8_t, 128> kAsciiClass = make_ascii_class();

bool is_white_space(char32_t code) {
  if (code < 128) return (kAsciiClass[code] & kAnySpace) != 0;
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

uint8_t wide_char_class(char32_t code) {
  switch (category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kUpperLetter;
    case UTF8PROC_CATEGORY_LL:
      return kLowerLetter;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kCaselessLetter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kMark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return kNumber;
    default:
      return is_white_space(code) ? kSpace : kOtherChar;
  }
}

bool is_punctuation(char32_t code) {
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}
bool is_bert_punctuation(char32_t code) {
  if (code < 128) return code > ' ' && code != 0x7F && (kAsciiClass[code] & (kLetter | kNumber)) == 0;
  return is_punctuation(code);
}
bool is_nonspacing_mark(char32_t code) { return code >= 0x300 && category(code) == UTF8PROC_CATEGORY_MN; }
bool is_control_char(char32_t code) {
  const auto c = category(code);
  return c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_CS ||
         c == UTF8PROC_CATEGORY_CO;
}
bool is_word_char(char32_t code) {
  if (code == '_') return true;
  const auto c = category(code);
  return (char_class(code) & (kLetter | kMark)) != 0 || c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL ||
         c == UTF8PROC_CATEGORY_PC;
}
char32_t simple_lower(char32_t code) {
  if (code < 128) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

std::string normalize_unicode(std::string_view text, NormalForm form) {
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = next_utf8(text, pos);
    if (c.valid) {
      codes.push_back(static_cast<utf8proc_int32_t>(c.code));
    } else {
      append_normalized(codes, form, out);
      out.push_back(static_cast<char>(c.code));
    }
  }
  append_normalized(codes, form, out);
  return out;
}

bool surely_normalized(std::string_view text, NormalForm form) {
  const bool composed = form == NormalForm::nfc;
  for (size_t pos = 0; pos < text.size();) {
    if (static_cast<uint8_t>(text[pos]) < 0x80) {
      ++pos;
      continue;
    }
    const Utf8Char c = next_utf8(text, pos);
    if (!c.valid) continue;
    // Everything below U+0300 is its own NFC; past that, what decomposes, combines or is a conjoining jamo may change.
    if (composed && (c.code < 0x300 || (c.code >= 0xAC00 && c.code <= 0xD7A3))) continue;
    const utf8proc_property_t* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c.code));
    if (property->decomp_seqindex != UINT16_MAX || property->combining_class != 0 ||
        (property->comb_index != UINT16_MAX && property->comb_index >= 0x8000)) {
      return false;
    }
    if (c.code >= 0x1100 && c.code <= 0x11FF) return false;
    if (!composed && c.code >= 0xAC00 && c.code <= 0xD7A3) return false;
  }
  return true;
}

}  // namespace kinglet
