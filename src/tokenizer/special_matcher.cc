#include "tokenizer/special_matcher.h"

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

size_t last_char_begin(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && end - begin < 4 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

bool word_char_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  size_t pos = last_char_begin(text, at);
  const Utf8Char c = next_utf8(text, pos);
  return c.valid && is_word_char(c.code);
}

bool word_char_after(std::string_view text, size_t at) {
  if (at >= text.size()) return false;
  const Utf8Char c = next_utf8(text, at);
  return c.valid && is_word_char(c.code);
}

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t next = at;
    const Utf8Char c = next_utf8(text, next);
    if (!c.valid || !is_white_space(c.code)) break;
    at = next;
  }
  return at;
}

size_t trim_space(std::string_view text, size_t begin, size_t end) {
  while (end > begin) {
    size_t pos = last_char_begin(text, end);
    const size_t start = pos;
    const Utf8Char c = next_utf8(text, pos);
    if (!c.valid || pos != end || !is_white_space(c.code)) break;
    end = start;
  }
  return end;
}

}  // namespace

SpecialMatcher::SpecialMatcher(const std::vector<Entry>& entries) {
  std::vector<Trie::Entry> all, user;
  for (const Entry& entry : entries) {
    const auto index = static_cast<int32_t>(tokens_.size());
    tokens_.push_back(entry.token);
    all.push_back({entry.text, index});
    if (!entry.token.control) user.push_back({entry.text, index});
  }
  all_ = Trie(std::move(all));
  user_ = Trie(std::move(user));
}

const SpecialToken* SpecialMatcher::match(std::string_view text, size_t at, SpecialTokens mode, size_t control_end,
                                          size_t& size) const {
  const Trie& trie = mode == SpecialTokens::parse ? all_ : user_;
  const SpecialToken* best = nullptr;
  uint32_t node = Trie::kRoot;
  for (size_t end = at; end < text.size();) {
    node = trie.child(node, static_cast<uint8_t>(text[end++]));
    if (node == Trie::kNoChild) break;
    if (trie.value(node) < 0) continue;
    const SpecialToken& token = tokens_[static_cast<size_t>(trie.value(node))];
    if (token.control && end > control_end) continue;
    if (token.whole_word && (word_char_before(text, at) || word_char_after(text, end))) continue;
    best = &token;
    size = end - at;
  }
  return best;
}

void SpecialMatcher::partition(std::string_view text, SpecialTokens mode, std::span<const size_t> seams,
                               FunctionRef<void(std::string_view, bool)> on_text,
                               FunctionRef<void(TokenId)> on_token) const {
  const Trie& trie = mode == SpecialTokens::parse ? all_ : user_;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    while (!seams.empty() && seams.front() <= at) seams = seams.subspan(1);
    const size_t control_end = seams.empty() ? text.size() : seams.front();
    size_t size = 0;
    const SpecialToken* token =
        trie.starts(static_cast<uint8_t>(text[at])) ? match(text, at, mode, control_end, size) : nullptr;
    if (token == nullptr) {
      ++at;
      continue;
    }
    const size_t end = token->strip_left ? trim_space(text, begin, at) : at;
    if (end > begin) on_text(text.substr(begin, end - begin), begin == 0);
    on_token(token->id);
    begin = at = token->strip_right ? skip_space(text, at + size) : at + size;
  }
  if (begin < text.size()) on_text(text.substr(begin), begin == 0);
}

std::vector<size_t> SpecialMatcher::control_places(std::string_view text) const {
  std::vector<size_t> places;
  for (size_t at = 0; at < text.size(); ++at) {
    uint32_t node = Trie::kRoot;
    for (size_t end = at; end < text.size();) {
      node = all_.child(node, static_cast<uint8_t>(text[end++]));
      if (node == Trie::kNoChild) break;
      if (all_.value(node) >= 0 && tokens_[static_cast<size_t>(all_.value(node))].control) {
        places.push_back(at);
        break;
      }
    }
  }
  return places;
}

}  // namespace kinglet
