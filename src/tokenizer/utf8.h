// UTF-8, one character at a time, over bytes that may be anything: what is not well-formed (overlong forms, surrogates,
// numbers past U+10FFFF, cut sequences) reads as one invalid byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kinglet {

struct Utf8Char {
  char32_t code = 0;  ///< the byte itself where it is not valid
  uint32_t size = 1;  ///< bytes; 1 where it is not valid
  bool valid = true;
};

/// The character at `p` (p < end).
inline Utf8Char decode_utf8(const char* p, const char* end) {
  const auto byte = [p](int i) { return static_cast<uint8_t>(p[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const auto left = end - p;
  const auto tail = [&](int i) { return (byte(i) & 0xC0) == 0x80; };
  if (lead >= 0xC2 && lead <= 0xDF && left >= 2 && tail(1)) {
    return {static_cast<char32_t>((lead & 0x1F) << 6 | (byte(1) & 0x3F)), 2, true};
  }
  if ((lead & 0xF0) == 0xE0 && left >= 3 && tail(1) && tail(2)) {
    const char32_t code = (lead & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
    if (code >= 0x800 && (code < 0xD800 || code > 0xDFFF)) return {code, 3, true};
  } else if (lead >= 0xF0 && lead <= 0xF4 && left >= 4 && tail(1) && tail(2) && tail(3)) {
    const char32_t code = (lead & 0x07u) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu);
    if (code >= 0x10000 && code <= 0x10FFFF) return {code, 4, true};
  }
  return {lead, 1, false};
}

inline void append_utf8(char32_t code, std::string& out) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xC0 | code >> 6));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | code >> 12));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | code >> 18));
    out.push_back(static_cast<char>(0x80 | (code >> 12 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  }
}

/// The character at `pos` of `text`; pos moves past it (pos < text.size()).
inline Utf8Char next_utf8(std::string_view text, size_t& pos) {
  const Utf8Char c = decode_utf8(text.data() + pos, text.data() + text.size());
  pos += c.size;
  return c;
}

/// Bytes of `text` that are whole characters or can never become one: what follows is a character cut at the end.
size_t complete_utf8_prefix(std::string_view text);

/// `text` with every invalid byte as U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";             // U+2581, SentencePiece's space

}  // namespace kinglet
