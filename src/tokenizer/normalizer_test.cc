#include "tokenizer/normalizer.h"

#include <gtest/gtest.h>

#include <random>

#include "tokenizer/charsmap.h"
#include "tokenizer/utf8.h"

namespace kinglet {
namespace {

std::string normalized(const Normalizer& step, std::string_view text) {
  std::string out;
  return step.apply(text, out) ? out : std::string(text);
}

TEST(Unicode, NormalForms) {
  const auto nfc = make_unicode_normalizer(NormalForm::nfc), nfd = make_unicode_normalizer(NormalForm::nfd);
  const auto nfkc = make_unicode_normalizer(NormalForm::nfkc), nfkd = make_unicode_normalizer(NormalForm::nfkd);
  EXPECT_EQ(normalized(*nfc, "e\u0301 \u212B \uAC00 \u1100\u1161\u11A8"), "\u00E9 \u00C5 \uAC00 \uAC01");
  EXPECT_EQ(normalized(*nfc, "a\u0323\u0307 a\u0307\u0323"), "\u1EA1\u0307 \u1EA1\u0307");
  EXPECT_EQ(normalized(*nfd, "\u00E9\uAC01"), "e\u0301\u1100\u1161\u11A8");
  EXPECT_EQ(normalized(*nfkc, "\uFB01 \u2460 \uFF21 \u00BD"), "fi 1 A 1\u20442");
  EXPECT_EQ(normalized(*nfkd, "\uFB01\u00E9"), "fie\u0301");
  EXPECT_EQ(normalized(*nfc, "e\u0301\xFF\u0301 \xC3"), "\u00E9\xFF\u0301 \xC3");
  EXPECT_EQ(normalized(*nfkc, "\uFDFA").size(), 33u);  // the longest of all: 18 characters
}

TEST(Unicode, TheQuickCheckNeverCallsAChangedTextNormalized) {
  std::mt19937 random(31);
  for (const NormalForm form : {NormalForm::nfc, NormalForm::nfd, NormalForm::nfkc, NormalForm::nfkd}) {
    for (char32_t code = 1; code < 0x30000; ++code) {
      std::string text = "a";
      append_utf8(code, text);
      if (!surely_normalized(text, form)) continue;
      EXPECT_EQ(normalize_unicode(text, form), text) << std::hex << uint32_t{code};
    }
    for (int round = 0; round < 20000; ++round) {
      std::string text;
      for (int n = 0; n < 4; ++n) append_utf8(random() % 2 ? 0x300 + random() % 0x100 : random() % 0x3100, text);
      if (!surely_normalized(text, form)) continue;
      EXPECT_EQ(normalize_unicode(text, form), text);
    }
  }
}

TEST(Normalizer, Texts) {
  EXPECT_EQ(normalized(*make_lowercase(), "ABC \u00C4\u0416 \u0130"), "abc \u00E4\u0436 i\u0307");
  EXPECT_EQ(normalized(*make_strip_accents(), "e\u0301a\u0323"), "ea");
  EXPECT_EQ(normalized(*make_strip(true, true), " \u3000 a b \n"), "a b");
  EXPECT_EQ(normalized(*make_strip(true, false), " a "), "a ");
  EXPECT_EQ(normalized(*make_strip(false, true), " a "), " a");
  EXPECT_EQ(normalized(*make_strip(true, true), "   "), "");
  EXPECT_EQ(normalized(*make_strip(false, true), "   "), "");
  EXPECT_EQ(normalized(*make_replace("ab", "x"), "abab-a"), "xx-a");
  EXPECT_EQ(normalized(*make_replace("", "x"), "ab"), "ab");
  EXPECT_EQ(normalized(**make_regex_replace(" {2,}", "_"), "a  b   c d"), "a_b_c d");
  EXPECT_EQ(normalized(*make_prepend("_"), "a"), "_a");
  EXPECT_EQ(normalized(*make_prepend("_"), ""), "");
  EXPECT_EQ(normalized(*make_space_escape(true), "a b"), "\u2581a\u2581b");
  EXPECT_EQ(normalized(*make_space_escape(false), " a "), "\u2581a\u2581");
  EXPECT_EQ(normalized(*make_nmt(), std::string_view("a\x01"
                                                     "b\tc\u200Bd",
                                                     9)),
            "ab c d");
}

TEST(Normalizer, Bert) {
  EXPECT_EQ(normalized(*make_bert_normalizer({}), "H\u00E9llo\tW\u00D6RLD\u4F60!"), "hello world \u4F60 !");
  EXPECT_EQ(normalized(*make_bert_normalizer({.strip_accents = false}), "H\u00C9"), "h\u00E9");
  EXPECT_EQ(normalized(*make_bert_normalizer({.strip_accents = false, .lowercase = false}), "H\u00C9"), "H\u00C9");
  EXPECT_EQ(normalized(*make_bert_normalizer({}), std::string_view("a\0b\u200Bc\uFFFDd", 11)), "abcd");
  EXPECT_EQ(normalized(*make_bert_normalizer({}), "\uD55C"), "\u1112\u1161\u11AB");
  EXPECT_EQ(normalized(*make_bert_normalizer({.llama_cpp_accents = true}), "\uD55C"), "\u1112");
}

/// A double array with one sequence, "a" to `replacement`, laid out by hand: root at 0, its children from 256 on.
std::string small_charsmap(std::string_view replacement) {
  std::vector<uint32_t> units(512, 0);
  units[0] = 256u << 10;                                               // children at 256 ^ label
  units[256 ^ 'a'] = static_cast<uint32_t>('a') | 1u << 8 | 8u << 10;  // has a value, at its place ^ 8
  units[(256 ^ 'a') ^ 8] = 1u << 31 | 0;
  std::string blob;
  const auto put = [&blob](uint32_t value) {
    for (int i = 0; i < 4; ++i) blob += static_cast<char>(value >> 8 * i & 0xFF);
  };
  put(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t unit : units) put(unit);
  return blob + std::string(replacement) + '\0';
}

TEST(Charsmap, ReplacesTheLongestSequence) {
  auto map = Charsmap::parse(small_charsmap("xy"));
  ASSERT_TRUE(map.ok()) << map.status().text();
  EXPECT_EQ(map->match("abc").replacement, "xy");
  EXPECT_EQ(map->match("abc").consumed, 1u);
  EXPECT_EQ(map->match("bc").consumed, 0u);
  EXPECT_EQ(map->match("").consumed, 0u);
}

TEST(Charsmap, HostileBlobs) {
  EXPECT_TRUE(Charsmap::parse("").ok());
  EXPECT_FALSE(Charsmap::parse("abc").ok());
  EXPECT_FALSE(Charsmap::parse(std::string("\xFF\xFF\xFF\xFF", 4)).ok());
  EXPECT_FALSE(Charsmap::parse(std::string("\x03\0\0\0abc", 7)).ok());
  std::mt19937 random(37);
  std::string text;
  for (int i = 0; i < 64; ++i) text += static_cast<char>(random());
  for (int round = 0; round < 3000; ++round) {
    std::string blob = small_charsmap("xy");
    for (int n = 0; n < 200; ++n) blob[4 + random() % (blob.size() - 4)] = static_cast<char>(random());
    const auto step = make_charsmap_normalizer(blob);
    if (step.ok()) normalized(**step, text + "aaaa");
  }
}

TEST(SentencePiece, Spaces) {
  const auto with = [](bool prefix, bool merge) {
    return *make_sentencepiece_normalizer({.add_prefix = prefix, .remove_extra_spaces = merge});
  };
  EXPECT_EQ(normalized(*with(true, true), "  a  b "), "\u2581a\u2581b");
  EXPECT_EQ(normalized(*with(false, true), "  a  b "), "a\u2581b");
  EXPECT_EQ(normalized(*with(true, false), " a  b "), "\u2581\u2581a\u2581\u2581b\u2581");
  EXPECT_EQ(normalized(*with(false, false), " a"), "\u2581a");
  EXPECT_EQ(normalized(*with(true, true), "   "), "");
  EXPECT_EQ(normalized(*with(true, true), "\xFF"), "\u2581\uFFFD");
  const auto keeps = *make_sentencepiece_normalizer({.charsmap = small_charsmap("xy"), .keep = {"aba"}});
  EXPECT_EQ(normalized(*keeps, "abaa ab"), "\u2581abaxy\u2581xyb");
}

TEST(Utf8, DecodesOnlyWhatIsWellFormed) {
  const auto valid = [](std::string_view text) { return decode_utf8(text.data(), text.data() + text.size()); };
  EXPECT_EQ(valid("\xF0\x9F\x98\x80").code, 0x1F600u);
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE4\xBD"}) {
    EXPECT_FALSE(valid(bad).valid);
    EXPECT_EQ(valid(bad).size, 1u);
  }
  EXPECT_EQ(complete_utf8_prefix("a\xC3"), 1u);
  EXPECT_EQ(complete_utf8_prefix("a\xE4\xBD"), 1u);
  EXPECT_EQ(complete_utf8_prefix("a\xF0\x9F\x98"), 1u);
  EXPECT_EQ(complete_utf8_prefix("a\xF0\x9F\x98\x80"), 5u);
  EXPECT_EQ(complete_utf8_prefix("a\x80\x80\x80\x80"), 5u);
  EXPECT_EQ(complete_utf8_prefix("\xFF"), 1u);
  EXPECT_EQ(replace_invalid_utf8("a\xFF\u00E9\xC3"), "a\uFFFD\u00E9\uFFFD");
}

}  // namespace
}  // namespace kinglet
