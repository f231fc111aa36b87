#include "tokenizer/pretokenizer.h"

#include "tokenizer/regex.h"
#include "tokenizer/scanner.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

void run_from(const PreTokenizers& steps, size_t step, std::string_view text, bool at_start, WordSink sink) {
  if (step == steps.size()) return sink(text, at_start);
  if (step + 1 == steps.size()) return steps[step]->split(text, at_start, sink);
  steps[step]->split(text, at_start,
                     [&](std::string_view word, bool first) { run_from(steps, step + 1, word, first, sink); });
}

/// Puts matches and what lies between them together as a SplitBehavior says. Feed the parts of a text in order.
class Splitter {
 public:
  Splitter(std::string_view text, bool at_start, SplitBehavior behavior, WordSink sink)
      : text_(text), at_start_(at_start), behavior_(behavior), sink_(sink) {}

  void part(size_t begin, size_t end, bool is_match) {
    if (begin == end) return;
    switch (behavior_) {
      case SplitBehavior::removed:
        if (!is_match) emit(begin, end);
        break;
      case SplitBehavior::isolated:
        emit(begin, end);
        break;
      case SplitBehavior::merged_with_previous:
        if (!is_match && pending_) flush();
        hold(begin, end);
        if (is_match) flush();
        break;
      case SplitBehavior::merged_with_next:
        if (is_match && pending_) flush();
        hold(begin, end);
        if (!is_match) flush();
        break;
      case SplitBehavior::contiguous:
        if (pending_ && is_match != pending_match_) flush();
        hold(begin, end);
        pending_match_ = is_match;
        break;
    }
  }
  void finish() {
    if (pending_) flush();
  }

 private:
  void hold(size_t begin, size_t end) {
    if (!pending_) pending_begin_ = begin;
    pending_ = true;
    pending_end_ = end;
  }
  void flush() {
    emit(pending_begin_, pending_end_);
    pending_ = false;
  }
  void emit(size_t begin, size_t end) { sink_(text_.substr(begin, end - begin), at_start_ && begin == 0); }

  std::string_view text_;
  bool at_start_;
  SplitBehavior behavior_;
  WordSink sink_;
  bool pending_ = false, pending_match_ = false;
  size_t pending_begin_ = 0, pending_end_ = 0;
};

class RegexSplit final : public PreTokenizer {
 public:
  RegexSplit(Regex regex, SplitBehavior behavior, bool inverted)
      : regex_(std::move(regex)), behavior_(behavior), inverted_(inverted) {}

  void split(std::string_view text, bool at_start, WordSink sink) const override {
    Splitter splitter(text, at_start, behavior_, sink);
    size_t done = 0, from = 0, begin = 0, end = 0;
    while (from <= text.size() && regex_.find(text, from, begin, end)) {
      if (begin == end) {  // an empty match cuts nothing off; look on past the next character
        if (begin >= text.size()) break;
        from = begin;
        next_utf8(text, from);
        if (begin > done) splitter.part(done, begin, inverted_), done = begin;
        continue;
      }
      splitter.part(done, begin, inverted_);
      splitter.part(begin, end, !inverted_);
      done = from = end;
    }
    splitter.part(done, text.size(), inverted_);
    splitter.finish();
  }

 private:
  Regex regex_;
  SplitBehavior behavior_;
  bool inverted_;
};

class StringSplit final : public PreTokenizer {
 public:
  StringSplit(std::string pattern, SplitBehavior behavior, bool inverted)
      : pattern_(std::move(pattern)), behavior_(behavior), inverted_(inverted) {}

  void split(std::string_view text, bool at_start, WordSink sink) const override {
    Splitter splitter(text, at_start, behavior_, sink);
    size_t done = 0;
    while (!pattern_.empty()) {
      const size_t at = text.find(pattern_, done);
      if (at == std::string_view::npos) break;
      splitter.part(done, at, inverted_);
      splitter.part(at, at + pattern_.size(), !inverted_);
      done = at + pattern_.size();
    }
    splitter.part(done, text.size(), inverted_);
    splitter.finish();
  }

 private:
  std::string pattern_;
  SplitBehavior behavior_;
  bool inverted_;
};

class CharSplitter final : public PreTokenizer {
 public:
  explicit CharSplitter(CharSplit kind) : kind_(kind) {}

  void split(std::string_view text, bool at_start, WordSink sink) const override {
    size_t begin = 0;
    int before = -1;
    for (size_t pos = 0; pos < text.size();) {
      const size_t at = pos;
      const Utf8Char c = next_utf8(text, pos);
      const int group = c.valid ? group_of(c.code) : kRest;
      if (at > begin && (group != before || group == kAlone)) {
        if (before != kDropped) sink(text.substr(begin, at - begin), at_start && begin == 0);
        begin = at;
      }
      before = group;
    }
    if (begin < text.size() && before != kDropped) sink(text.substr(begin), at_start && begin == 0);
  }

 private:
  enum Group { kRest, kDropped, kAlone, kRun };

  int group_of(char32_t code) const {
    switch (kind_) {
      case CharSplit::whitespace:
        return is_white_space(code) ? kDropped : kRest;
      case CharSplit::digits:
        return char_class(code) == kNumber ? kAlone : kRest;
      case CharSplit::digit_runs:
        return char_class(code) == kNumber ? kRun : kRest;
      case CharSplit::punctuation:
        return is_bert_punctuation(code) ? kAlone : kRest;
      case CharSplit::words:
        return is_white_space(code) ? kDropped : is_word_char(code) ? kRun : kRest;
      case CharSplit::bert:
        return is_white_space(code) ? kDropped : is_bert_punctuation(code) ? kAlone : kRest;
    }
    return kRest;
  }

  CharSplit kind_;
};

class Metaspace final : public PreTokenizer {
 public:
  Metaspace(std::string mark, Prepend prepend, bool split) : mark_(std::move(mark)), prepend_(prepend), split_(split) {}

  void split(std::string_view text, bool at_start, WordSink sink) const override {
    std::string marked;
    marked.reserve(text.size() + text.size() / 2 + mark_.size());
    const bool starts_marked = text.starts_with(' ') || text.starts_with(mark_);
    if (!starts_marked && (prepend_ == Prepend::always || (prepend_ == Prepend::first && at_start))) marked = mark_;
    for (const char c : text) {
      if (c == ' ') {
        marked += mark_;
      } else {
        marked.push_back(c);
      }
    }
    if (!split_ || mark_.empty()) return sink(marked, at_start);
    const std::string_view all = marked;
    size_t begin = 0;
    for (size_t at = all.find(mark_); at != std::string_view::npos; at = all.find(mark_, at + mark_.size())) {
      if (at > begin) sink(all.substr(begin, at - begin), at_start && begin == 0);
      begin = at;
    }
    if (begin < all.size()) sink(all.substr(begin), at_start && begin == 0);
  }

 private:
  std::string mark_;
  Prepend prepend_;
  bool split_;
};

class PrefixSpace final : public PreTokenizer {
 public:
  void split(std::string_view text, bool at_start, WordSink sink) const override {
    size_t pos = 0;
    if (is_white_space(next_utf8(text, pos).code)) return sink(text, at_start);
    std::string spaced = " ";
    spaced += text;
    sink(spaced, at_start);
  }
};

}  // namespace

void run_pretokenizers(const PreTokenizers& steps, std::string_view text, bool at_start, WordSink sink) {
  if (!text.empty()) run_from(steps, 0, text, at_start, sink);
}

Result<std::unique_ptr<PreTokenizer>> make_pcre_split(std::string_view pattern, SplitBehavior behavior, bool inverted) {
  KL_ASSIGN(Regex regex, Regex::compile(pattern));
  return std::unique_ptr<PreTokenizer>(std::make_unique<RegexSplit>(std::move(regex), behavior, inverted));
}

Result<std::unique_ptr<PreTokenizer>> make_regex_split(std::string_view pattern, SplitBehavior behavior,
                                                       bool inverted) {
  // The known patterns match every character, so that "isolated" and "removed, inverted" cut alike.
  const bool plain = (behavior == SplitBehavior::isolated) || (behavior == SplitBehavior::removed && inverted);
  if (const auto known = find_scanner(pattern); known && plain) return make_scanner(*known);
  return make_pcre_split(pattern, behavior, inverted);
}

std::unique_ptr<PreTokenizer> make_string_split(std::string pattern, SplitBehavior behavior, bool inverted) {
  return std::make_unique<StringSplit>(std::move(pattern), behavior, inverted);
}
std::unique_ptr<PreTokenizer> make_char_split(CharSplit kind) { return std::make_unique<CharSplitter>(kind); }
std::unique_ptr<PreTokenizer> make_metaspace(std::string mark, Prepend prepend, bool split) {
  return std::make_unique<Metaspace>(std::move(mark), prepend, split);
}
std::unique_ptr<PreTokenizer> make_prefix_space() { return std::make_unique<PrefixSpace>(); }

}  // namespace kinglet
