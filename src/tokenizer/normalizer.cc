#include "tokenizer/normalizer.h"

#include <algorithm>

#include "tokenizer/regex.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

class UnicodeNormalizer final : public Normalizer {
 public:
  explicit UnicodeNormalizer(NormalForm form) : form_(form) {}
  bool apply(std::string_view text, std::string& out) const override {
    if (surely_normalized(text, form_)) return false;
    out = normalize_unicode(text, form_);
    return true;
  }

 private:
  NormalForm form_;
};

/// Maps each character by F(code, out); invalid bytes stay.
template <typename F>
class CharMap final : public Normalizer {
 public:
  explicit CharMap(F map) : map_(std::move(map)) {}
  bool apply(std::string_view text, std::string& out) const override {
    out.reserve(text.size());
    for (size_t pos = 0; pos < text.size();) {
      const Utf8Char c = next_utf8(text, pos);
      if (c.valid) {
        map_(c.code, out);
      } else {
        out.push_back(static_cast<char>(c.code));
      }
    }
    return true;
  }

 private:
  F map_;
};

template <typename F>
std::unique_ptr<Normalizer> make_char_map(F map) {
  return std::make_unique<CharMap<F>>(std::move(map));
}

void append_lower(char32_t code, std::string& out) {
  if (code == 0x130) {  // the one letter whose lower case is two characters
    out += "i\xCC\x87";
  } else {
    append_utf8(simple_lower(code), out);
  }
}

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  bool apply(std::string_view text, std::string& out) const override {
    size_t begin = 0, end = text.size(), last = 0;
    bool seen = false;
    for (size_t pos = 0; pos < text.size();) {
      const size_t at = pos;
      const Utf8Char c = next_utf8(text, pos);
      if (c.valid && is_white_space(c.code)) continue;
      if (!seen) begin = at;
      seen = true;
      last = pos;
    }
    if (!seen) begin = last = left_ ? text.size() : 0;
    if (!left_) begin = 0;
    if (right_) end = std::max(last, begin);
    if (begin == 0 && end == text.size()) return false;
    out = text.substr(begin, end - begin);
    return true;
  }

 private:
  bool left_, right_;
};

class Replace final : public Normalizer {
 public:
  Replace(std::string pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  bool apply(std::string_view text, std::string& out) const override {
    size_t at = pattern_.empty() ? std::string_view::npos : text.find(pattern_);
    if (at == std::string_view::npos) return false;
    size_t done = 0;
    for (; at != std::string_view::npos; at = text.find(pattern_, done)) {
      out.append(text.substr(done, at - done)).append(content_);
      done = at + pattern_.size();
    }
    out.append(text.substr(done));
    return true;
  }

 private:
  std::string pattern_, content_;
};

class RegexReplace final : public Normalizer {
 public:
  RegexReplace(Regex regex, std::string content) : regex_(std::move(regex)), content_(std::move(content)) {}
  bool apply(std::string_view text, std::string& out) const override {
    size_t done = 0, begin = 0, end = 0;
    while (done < text.size() && regex_.find(text, done, begin, end) && begin < end) {
      out.append(text.substr(done, begin - done)).append(content_);
      done = end;
    }
    if (done == 0) return false;
    out.append(text.substr(done));
    return true;
  }

 private:
  Regex regex_;
  std::string content_;
};

class PrependNormalizer final : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}
  bool apply(std::string_view text, std::string& out) const override {
    if (text.empty()) return false;
    out.append(prefix_).append(text);
    return true;
  }

 private:
  std::string prefix_;
};

class SpaceEscape final : public Normalizer {
 public:
  explicit SpaceEscape(bool prefix) : prefix_(prefix) {}
  bool apply(std::string_view text, std::string& out) const override {
    const auto spaces = static_cast<size_t>(std::count(text.begin(), text.end(), ' '));
    out.reserve(text.size() + 2 * spaces + 3);
    if (prefix_) out += kSpaceMark;
    for (size_t done = 0; done < text.size();) {
      const size_t space = std::min(text.find(' ', done), text.size());
      out.append(text.substr(done, space - done));
      if (space < text.size()) out += kSpaceMark;
      done = space + 1;
    }
    return true;
  }

 private:
  bool prefix_;
};

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class BertNormalizer final : public Normalizer {
 public:
  explicit BertNormalizer(const BertNormalizerOptions& options) : options_(options) {}

  bool apply(std::string_view text, std::string& out) const override {
    std::string decomposed;
    if (options_.strip_accents && !is_ascii(text)) {
      decomposed = options_.llama_cpp_accents ? first_characters(text) : normalize_unicode(text, NormalForm::nfd);
      text = decomposed;
    }
    out.reserve(text.size());
    for (size_t pos = 0; pos < text.size();) {
      const Utf8Char c = next_utf8(text, pos);
      if (c.valid) {
        append(c.code, out);
      } else if (!options_.clean_text) {
        out.push_back(static_cast<char>(c.code));
      }
    }
    return true;
  }

 private:
  static std::string first_characters(std::string_view text) {
    std::string out;
    for (size_t pos = 0; pos < text.size();) {
      const size_t at = pos;
      const Utf8Char c = next_utf8(text, pos);
      std::string whole = c.code < 0x80 || !c.valid ? std::string(text.substr(at, c.size))
                                                    : normalize_unicode(text.substr(at, c.size), NormalForm::nfd);
      size_t first = 0;
      next_utf8(whole, first);
      out.append(whole, 0, first);
    }
    return out;
  }

  void append(char32_t code, std::string& out) const {
    if (options_.clean_text) {
      if (is_white_space(code)) return out.push_back(' ');
      if (code == 0 || code == 0xFFFD || is_control_char(code)) return;
    }
    const bool accent = options_.llama_cpp_accents ? char_class(code) == kMark : is_nonspacing_mark(code);
    if (options_.strip_accents && accent) return;
    const bool alone = options_.chinese_chars && is_chinese(code);
    if (alone) out.push_back(' ');
    if (!options_.lowercase) {
      append_utf8(code, out);
    } else if (options_.strip_accents) {
      append_utf8(simple_lower(code), out);
    } else {
      append_lower(code, out);
    }
    if (alone) out.push_back(' ');
  }

  BertNormalizerOptions options_;
};

void append_nmt(char32_t code, std::string& out) {
  const bool drop = (code >= 1 && code <= 8) || code == 0xB || (code >= 0xE && code <= 0x1F) || code == 0x7F ||
                    code == 0x8F || code == 0x9F;
  if (drop) return;
  const bool space = code == 9 || code == 0xA || code == 0xC || code == 0xD || code == 0x1680 ||
                     (code >= 0x200B && code <= 0x200F) || code == 0x2028 || code == 0x2029 || code == 0x2581 ||
                     code == 0xFEFF || code == 0xFFFD;
  append_utf8(space ? U' ' : code, out);
}

}  // namespace

std::string_view run_normalizers(const Normalizers& steps, std::string_view text, std::string& buffer) {
  std::string next;
  for (const auto& step : steps) {
    next.clear();
    if (!step->apply(text, next)) continue;
    buffer.swap(next);
    text = buffer;
  }
  return text;
}

std::unique_ptr<Normalizer> make_unicode_normalizer(NormalForm form) {
  return std::make_unique<UnicodeNormalizer>(form);
}
std::unique_ptr<Normalizer> make_lowercase() { return make_char_map(append_lower); }
std::unique_ptr<Normalizer> make_strip_accents() {
  return make_char_map([](char32_t code, std::string& out) {
    if (!is_nonspacing_mark(code)) append_utf8(code, out);
  });
}
std::unique_ptr<Normalizer> make_strip(bool left, bool right) { return std::make_unique<Strip>(left, right); }
std::unique_ptr<Normalizer> make_replace(std::string pattern, std::string content) {
  return std::make_unique<Replace>(std::move(pattern), std::move(content));
}
Result<std::unique_ptr<Normalizer>> make_regex_replace(std::string_view pattern, std::string content) {
  KL_ASSIGN(Regex regex, Regex::compile(pattern));
  return std::unique_ptr<Normalizer>(std::make_unique<RegexReplace>(std::move(regex), std::move(content)));
}
std::unique_ptr<Normalizer> make_prepend(std::string prefix) {
  return std::make_unique<PrependNormalizer>(std::move(prefix));
}
std::unique_ptr<Normalizer> make_nmt() { return make_char_map(append_nmt); }
std::unique_ptr<Normalizer> make_space_escape(bool prefix) { return std::make_unique<SpaceEscape>(prefix); }
std::unique_ptr<Normalizer> make_bert_normalizer(const BertNormalizerOptions& options) {
  return std::make_unique<BertNormalizer>(options);
}

}  // namespace kinglet
