// Where a text can be cut without changing its tokens: between two characters that stand side by side in no token.
// A merge or a path never crosses such a place, so what lies between cuts is tokenized alone, and cached as a word.
// This turns SentencePiece models, which see the whole text as one word, into models of short words, exactly.
#pragma once

#include <bitset>
#include <memory>
#include <string_view>
#include <vector>

#include "tokenizer/utf8.h"

namespace kinglet {

class JoinFilter {
 public:
  JoinFilter() : near_(kNear * kNear), far_(kFarBits) {}

  /// Every pair of neighbours in `text` may stand inside a token.
  void add_token(std::string_view text) {
    char32_t before = 0;
    for (size_t pos = 0; pos < text.size();) {
      const bool first = pos == 0;
      const char32_t code = unit(next_utf8(text, pos));
      if (!first) add_join(before, code);
      before = code;
    }
  }
  void add_join(std::string_view left, std::string_view right) {
    size_t pos = 0;
    const char32_t first = unit(next_utf8(right, pos));
    size_t start = left.size() - 1;
    while (start > 0 && left.size() - start < 4 && (static_cast<uint8_t>(left[start]) & 0xC0) == 0x80) --start;
    char32_t last = 0;
    while (start < left.size()) last = unit(next_utf8(left, start));
    add_join(last, first);
  }
  /// False only where no token holds `left` followed by `right` (a bitmap of hashes: it errs to true).
  bool may_join(char32_t left, char32_t right) const {
    const uint32_t a = near_index(left), b = near_index(right);
    if ((a | b) < kNear) return near_[a * kNear + b];
    return far_[far_index(left, right)];
  }
  /// What a decoded character is known as: invalid bytes get numbers past Unicode's.
  static char32_t unit(const Utf8Char& c) { return c.valid ? c.code : 0x110000 + c.code; }

 private:
  static constexpr uint32_t kNear = 256;
  static constexpr size_t kFarBits = size_t{1} << 21;

  // Latin letters and the space mark, most of most texts, have an exact small table of their own.
  static uint32_t near_index(char32_t code) { return code < 0xFF ? code : code == 0x2581 ? 0xFF : kNear; }
  static size_t far_index(char32_t left, char32_t right) {
    return ((static_cast<uint64_t>(left) << 21 | right) * 0x9E3779B97F4A7C15u) >> (64 - 21);
  }
  void add_join(char32_t left, char32_t right) {
    const uint32_t a = near_index(left), b = near_index(right);
    if ((a | b) < kNear) {
      near_[a * kNear + b] = true;
    } else {
      far_[far_index(left, right)] = true;
    }
  }

  std::vector<bool> near_, far_;
};

/// Calls `sink(segment)` for the parts of `text` between the places that no token crosses, in order.
template <typename Sink>
void for_each_segment(std::string_view text, const JoinFilter& joins, Sink&& sink) {
  size_t begin = 0;
  char32_t before = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t at = pos;
    const char32_t code = JoinFilter::unit(next_utf8(text, pos));
    if (at > begin && !joins.may_join(before, code)) {
      sink(text.substr(begin, at - begin));
      begin = at;
    }
    before = code;
  }
  if (begin < text.size()) sink(text.substr(begin));
}

}  // namespace kinglet
