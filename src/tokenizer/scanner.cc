#include "tokenizer/scanner.h"

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

/// Walks a text by the classes of its characters.
struct Cursor {
  const char* end;

  /// The class of the character at p, and its length; an invalid byte is a character of class "other".
  uint8_t look(const char* p, uint32_t& size) const {
    const auto byte = static_cast<uint8_t>(*p);
    if (byte < 0x80) {
      size = 1;
      return kAsciiClass[byte];
    }
    const Utf8Char c = decode_utf8(p, end);
    size = c.size;
    return c.valid ? wide_char_class(c.code) : uint8_t{kOtherChar};
  }
  /// 0 at the end.
  uint8_t look(const char* p) const {
    uint32_t size;
    return p == end ? 0 : look(p, size);
  }
  /// Past the run of characters of these classes.
  const char* run(const char* p, uint8_t classes) const {
    uint32_t size;
    while (p != end && (look(p, size) & classes) != 0) p += size;
    return p;
  }
};

/// Bytes of the contraction at p ('s 't 're 've 'm 'll 'd), or 0.
size_t contraction(const char* p, const char* end, bool any_case) {
  if (end - p < 2 || *p != '\'') return 0;
  const auto lower = [any_case](char c) { return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  const char a = lower(p[1]);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  // Under case folding the long s is an s as well.
  if (any_case && end - p >= 3 && p[1] == '\xC5' && p[2] == '\xBF') return 3;
  if (end - p < 3) return 0;
  const char b = lower(p[2]);
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/// \s+(?!\S)|\s+ at p, a white-space character: the run, without its last character where a word follows.
const char* white_space(const Cursor& cursor, const char* p) {
  const char* last = p;
  const char* q = p;
  for (uint32_t size; q != cursor.end && (cursor.look(q, size) & kAnySpace) != 0; q += size) last = q;
  return q == cursor.end || last == p ? q : last;
}

/// The same with \s*[\r\n]+ before it: up to the last newline of the run, where there is one.
const char* white_space_and_newlines(const Cursor& cursor, const char* p) {
  const char* after_newline = nullptr;
  const char* last = p;
  const char* q = p;
  for (uint32_t size; q != cursor.end; q += size) {
    const uint8_t c = cursor.look(q, size);
    if ((c & kAnySpace) == 0) break;
    if (c == kNewline) after_newline = q + size;
    last = q;
  }
  if (after_newline != nullptr) return after_newline;
  return q == cursor.end || last == p ? q : last;
}

const char* digits(const Cursor& cursor, const char* p, int max) {
  uint32_t size;
  for (int n = 0; p != cursor.end && n < max && cursor.look(p, size) == kNumber; ++n) p += size;
  return p;
}

const char* newlines(const char* p, const char* end, bool slashes) {
  while (p != end && (*p == '\n' || *p == '\r' || (slashes && *p == '/'))) ++p;
  return p;
}

struct Gpt2 {
  static const char* word_end(const Cursor& cursor, const char* p, const ScannerPattern&) {
    if (const size_t n = contraction(p, cursor.end, false); n > 0) return p + n;
    const char* q = *p == ' ' ? p + 1 : p;
    const uint8_t c = cursor.look(q);
    if (c & kLetter) return cursor.run(q, kLetter);
    if (c & kNumber) return cursor.run(q, kNumber);
    if (c & (kOtherChar | kMark)) return cursor.run(q, kOtherChar | kMark);
    return white_space(cursor, p);
  }
};

struct Llama3 {
  static const char* word_end(const Cursor& cursor, const char* p, const ScannerPattern& pattern) {
    if (pattern.contractions) {
      if (const size_t n = contraction(p, cursor.end, true); n > 0) return p + n;
    }
    const uint8_t in_word = pattern.marks_in_words ? kLetter | kMark : kLetter;
    const uint8_t others = pattern.marks_in_words ? kOtherChar : kOtherChar | kMark;
    uint32_t size;
    const uint8_t c = cursor.look(p, size);
    if (c & in_word) return cursor.run(p + size, in_word);
    if (c == kNumber) return digits(cursor, p, pattern.max_digits);
    if (c != kNewline && (cursor.look(p + size) & in_word) != 0) return cursor.run(p + size, in_word);
    const char* q = *p == ' ' ? p + 1 : p;
    if (cursor.look(q) & others) return newlines(cursor.run(q, others), cursor.end, false);
    return white_space_and_newlines(cursor, p);
  }
};

struct Gpt4o {
  static constexpr uint8_t kUpper = kUpperLetter | kCaselessLetter | kMark;
  static constexpr uint8_t kLower = kLowerLetter | kCaselessLetter | kMark;

  /// [upper]*[lower]+ from q; nullptr where it does not match. Where nothing but a lower follows the run of uppers, the
  /// run gives back down to its last character that is both.
  static const char* lower_word(const Cursor& cursor, const char* q) {
    const char* both_end = nullptr;
    const char* p = q;
    uint32_t size;
    uint8_t c = 0;
    for (; p != cursor.end && ((c = cursor.look(p, size)) & kUpper) != 0; p += size) {
      if (c & kLower) both_end = p + size;
    }
    if (p != cursor.end && (c & kLower) != 0) return cursor.run(p, kLower);
    return both_end;
  }

  static const char* letters(const Cursor& cursor, const char* p) {
    uint32_t size;
    const uint8_t c = cursor.look(p, size);
    const bool prefix = (c & (kLetter | kNumber | kNewline)) == 0;
    if (prefix && p + size != cursor.end) {
      if (const char* end = lower_word(cursor, p + size)) return end;
    }
    if (c & (kUpper | kLower)) {
      if (const char* end = lower_word(cursor, p)) return end;
    }
    // [upper]+[lower]*: no lower follows, or the first form had matched.
    if (prefix && p + size != cursor.end) {
      if (const char* end = cursor.run(p + size, kUpper); end != p + size) return end;
    }
    return cursor.run(p, kUpper);
  }

  static const char* word_end(const Cursor& cursor, const char* p, const ScannerPattern& pattern) {
    if (const char* end = letters(cursor, p); end != p) {
      return pattern.contractions ? end + contraction(end, cursor.end, true) : end;
    }
    if (cursor.look(p) == kNumber) return digits(cursor, p, pattern.max_digits);
    constexpr uint8_t kOthers = kOtherChar | kMark;
    const char* q = *p == ' ' ? p + 1 : p;
    if (cursor.look(q) & kOthers) return newlines(cursor.run(q, kOthers), cursor.end, true);
    return white_space_and_newlines(cursor, p);
  }
};

template <typename Rules>
class Scanner final : public PreTokenizer {
 public:
  explicit Scanner(const ScannerPattern& pattern) : pattern_(pattern) {}
  void split(std::string_view text, bool at_start, WordSink sink) const override {
    const Cursor cursor{text.data() + text.size()};
    for (const char* p = text.data(); p != cursor.end;) {
      const char* end = Rules::word_end(cursor, p, pattern_);
      sink({p, static_cast<size_t>(end - p)}, at_start && p == text.data());
      p = end;
    }
  }

 private:
  ScannerPattern pattern_;
};

struct KnownRegex {
  std::string_view regex;
  ScannerPattern pattern;
};

using Family = ScannerPattern::Family;

constexpr KnownRegex kKnown[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", {Family::gpt2}},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Family::llama3, 3}},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Family::llama3, 1}},
    {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Family::llama3, 1, false}},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Family::llama3, 1, true, true}},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Family::gpt4o, 3}},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
     R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Family::gpt4o, 1, false}},
};

}  // namespace

std::optional<ScannerPattern> find_scanner(std::string_view regex) {
  for (const KnownRegex& known : kKnown) {
    if (known.regex == regex) return known.pattern;
  }
  return std::nullopt;
}

std::unique_ptr<PreTokenizer> make_scanner(const ScannerPattern& pattern) {
  switch (pattern.family) {
    case Family::gpt2:
      return std::make_unique<Scanner<Gpt2>>(pattern);
    case Family::llama3:
      return std::make_unique<Scanner<Llama3>>(pattern);
    case Family::gpt4o:
      return std::make_unique<Scanner<Gpt4o>>(pattern);
  }
  return nullptr;
}

}  // namespace kinglet
