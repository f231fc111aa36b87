// The scanners against the regular expressions they stand for, which PCRE2 matches.
#include "tokenizer/scanner.h"

#include <gtest/gtest.h>

#include <random>

#include "tokenizer/pretokenizer_names.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

struct Pattern {
  const char* name;
  const char* regex;
};

constexpr Pattern kPatterns[] = {
    {"gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    {"llama3",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"qwen2",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"plain", R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"qwen35",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"gpt4o",
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"tekken",
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

std::vector<std::string> words_of(const PreTokenizer& step, std::string_view text) {
  std::vector<std::string> words;
  step.split(text, true, [&](std::string_view word, bool) { words.emplace_back(word); });
  return words;
}

class ScannerTest : public testing::TestWithParam<Pattern> {
 protected:
  void SetUp() override {
    const auto pattern = find_scanner(GetParam().regex);
    ASSERT_TRUE(pattern.has_value());
    scanner_ = make_scanner(*pattern);
    auto reference = make_pcre_split(GetParam().regex, SplitBehavior::isolated, false);
    ASSERT_TRUE(reference.ok()) << reference.status().text();
    reference_ = *std::move(reference);
  }
  void expect_same(const std::string& text) const {
    EXPECT_EQ(words_of(*scanner_, text), words_of(*reference_, text)) << testing::PrintToString(text);
  }

  std::unique_ptr<PreTokenizer> scanner_, reference_;
};

TEST_P(ScannerTest, AwkwardTexts) {
  for (const char* text : {
           "a",
           " ",
           "  ",
           "\n",
           " \n",
           "\n ",
           " \n a",
           "a  b",
           "a \n\n  b",
           "a\r\n\r\nb",
           "\t\ta",
           "a\u3000\u3000b",
           "don't we'll I'm they'VE it'S 'tis 'sx ''s '",
           "x'S x'Ll x'\u017F x'\u017Fa",
           "1234567 12 a1b2",
           "\u00BD\u2167\u0663",
           "!!! ??? ...a --b",
           "!!!\n\n",
           "!!!\n a",
           "a/b//c/\n/",
           "camelCase PascalCase ABCdef abcDEF ABC",
           "\u01C5a A\u01C5a",
           "\u4F60\u597D\uFF0C\u4E16\u754C",
           "e\u0301 \u0301a \u0301A \u0301\u0301 A\u0301B",
           " \u0301",
           "a\u0301\u0301'sB",
           "\u02B0A\u02B0a",
           "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9",
           "\xE2\x80\x8B zero",
           "\x7F\x1B[31m",
           "  x",
           "\xC2\xA0nbsp \xC2\xA0",
       }) {
    expect_same(text);
  }
}

TEST_P(ScannerTest, RandomTexts) {
  const char* const pieces[] = {
      " ",      "  ",     "\n",       "\r\n",   "\t",     "a",      "bc",           "A",
      "BC",     "1",      "22",       "'",      "s",      "'s",     "'LL",          "\u017F",
      "!",      ".",      "/",        "\u00E9", "\u0301", "\u4E2D", "\u01C5",       "_",
      "\u02B0", "\u00BD", "\xC2\xA0", "\u3000", "\u0416", "\u0436", "\u0915\u093F", "\xF0\x9F\x98\x80",
      "\u2028", "\x0B",   "\u0085"};
  std::mt19937 random(7);
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    for (size_t n = random() % 12; n > 0; --n) text += pieces[random() % std::size(pieces)];
    expect_same(text);
  }
}

TEST_P(ScannerTest, RandomCharacters) {
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (size_t n = 1 + random() % 10; n > 0; --n) {
      const char32_t code = random() % 2 ? random() % 0x250 : random() % 0x3100;
      // PCRE2's \s has U+180E, Unicode's White_Space does not; U+0CF3 and U+0ECE came with Unicode 15, which PCRE2 may
      // lack.
      if (code != 0x180E && code != 0x0CF3 && code != 0x0ECE) append_utf8(code, text);
    }
    if (!text.empty()) expect_same(text);
  }
}

TEST_P(ScannerTest, WordsJoinToTheTextWhateverTheBytes) {
  std::mt19937 random(13);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (size_t n = random() % 40; n > 0; --n)
      text += static_cast<char>(random() % 4 == 0 ? random() % 256 : random() % 128);
    std::string joined;
    for (const std::string& word : words_of(*scanner_, text)) {
      EXPECT_FALSE(word.empty());
      joined += word;
    }
    EXPECT_EQ(joined, text);
  }
}

INSTANTIATE_TEST_SUITE_P(Known, ScannerTest, testing::ValuesIn(kPatterns),
                         [](const auto& test) { return test.param.name; });

TEST(PreTokenizerNames, EachKnownNameIsMade) {
  for (const char* name :
       {"gpt-2", "llama-bpe", "dbrx", "qwen2", "qwen35", "deepseek-r1-qwen", "gpt-4o", "tekken", "refact", "smollm",
        "starcoder", "default", "falcon", "deepseek-v3", "deepseek-coder", "bloom", "viking"}) {
    const auto made = make_named_pretokenizer(name);
    ASSERT_TRUE(made.ok()) << name << ": " << made.status().text();
    std::string joined;
    run_pretokenizers(made->steps, "Hello, w\u00F6rld 12345 don't\n\n \u4F60\u597D", true,
                      [&](std::string_view word, bool) { joined += word; });
    EXPECT_EQ(joined, "Hello, w\u00F6rld 12345 don't\n\n \u4F60\u597D") << name;
  }
}

TEST(PreTokenizerNames, AnUnknownNameIsNamed) {
  const auto made = make_named_pretokenizer("no-such");
  EXPECT_EQ(made.status().code(), Code::unsupported);
  EXPECT_NE(made.status().text().find("no-such"), std::string_view::npos);
  EXPECT_FALSE(make_named_pretokenizer("").ok());
  EXPECT_FALSE(make_named_pretokenizer("llama-bpe llama3").ok());
}

TEST(PreTokenizerNames, DigitsAreCutBeforeWords) {
  const auto made = make_named_pretokenizer("refact");
  std::vector<std::string> words;
  run_pretokenizers(made->steps, "a  12 b", true, [&](std::string_view word, bool) { words.emplace_back(word); });
  EXPECT_EQ(words, (std::vector<std::string>{"a", "  ", "1", "2", " b"}));
}

}  // namespace
}  // namespace kinglet
