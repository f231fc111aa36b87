#include "tokenizer/pretokenizer.h"

#include <gtest/gtest.h>

namespace kinglet {
namespace {

using Words = std::vector<std::string>;

Words split(const PreTokenizer& step, std::string_view text, bool at_start = true) {
  Words words;
  if (!text.empty()) step.split(text, at_start, [&](std::string_view word, bool) { words.emplace_back(word); });
  return words;
}

Words split_regex(const char* pattern, SplitBehavior behavior, bool inverted, std::string_view text) {
  auto step = make_regex_split(pattern, behavior, inverted);
  EXPECT_TRUE(step.ok()) << step.status().text();
  return split(**step, text);
}

TEST(RegexSplit, Behaviors) {
  constexpr const char* kText = "the-final--countdown";
  EXPECT_EQ(split_regex("-", SplitBehavior::removed, false, kText), (Words{"the", "final", "countdown"}));
  EXPECT_EQ(split_regex("-", SplitBehavior::isolated, false, kText),
            (Words{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split_regex("-", SplitBehavior::merged_with_previous, false, kText),
            (Words{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(split_regex("-", SplitBehavior::merged_with_next, false, kText),
            (Words{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split_regex("-", SplitBehavior::contiguous, false, kText), (Words{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(split_regex("[a-z]+", SplitBehavior::removed, true, kText), (Words{"the", "final", "countdown"}));
  EXPECT_EQ(split(*make_string_split("--", SplitBehavior::isolated, false), kText),
            (Words{"the-final", "--", "countdown"}));
}

TEST(RegexSplit, EmptyMatchesEndAndInvalidBytesStay) {
  Words words = split_regex("x*", SplitBehavior::isolated, false, "axxb");
  std::string joined;
  for (const auto& word : words) joined += word;
  EXPECT_EQ(joined, "axxb");
  EXPECT_EQ(split_regex("b", SplitBehavior::isolated, false,
                        "a\xFF"
                        "b\xC3"),
            (Words{"a\xFF", "b", "\xC3"}));
}

TEST(RegexSplit, ABadPatternIsNamed) {
  const auto step = make_regex_split("(", SplitBehavior::isolated, false);
  EXPECT_EQ(step.status().code(), Code::corrupt);
  EXPECT_FALSE(make_regex_split(std::string(1 << 20, 'a'), SplitBehavior::isolated, false).ok());
}

TEST(RegexSplit, APatternThatBacktracksWithoutEndGivesUp) {
  const Words words = split_regex("(a+)+$", SplitBehavior::isolated, false, std::string(60, 'a') + "b");
  std::string joined;
  for (const auto& word : words) joined += word;
  EXPECT_EQ(joined, std::string(60, 'a') + "b");
}

TEST(CharSplit, Kinds) {
  EXPECT_EQ(split(*make_char_split(CharSplit::whitespace), " a  b\u3000c "), (Words{"a", "b", "c"}));
  EXPECT_EQ(split(*make_char_split(CharSplit::digits), "a12b"), (Words{"a", "1", "2", "b"}));
  EXPECT_EQ(split(*make_char_split(CharSplit::digit_runs), "a12b"), (Words{"a", "12", "b"}));
  EXPECT_EQ(split(*make_char_split(CharSplit::punctuation), "a!?b"), (Words{"a", "!", "?", "b"}));
  EXPECT_EQ(split(*make_char_split(CharSplit::words), "it's  so_fine!!"), (Words{"it", "'", "s", "so_fine", "!!"}));
  EXPECT_EQ(split(*make_char_split(CharSplit::bert), "a, b$c"), (Words{"a", ",", "b", "$", "c"}));
  EXPECT_EQ(split(*make_char_split(CharSplit::whitespace), "   "), Words{});
}

TEST(Metaspace, MarksSpacesAndPrepends) {
  const std::string m = "\xE2\x96\x81";
  EXPECT_EQ(split(*make_metaspace(m, Prepend::always, true), "a b"), (Words{m + "a", m + "b"}));
  EXPECT_EQ(split(*make_metaspace(m, Prepend::always, false), "a b"), (Words{m + "a" + m + "b"}));
  EXPECT_EQ(split(*make_metaspace(m, Prepend::always, true), " a"), (Words{m + "a"}));
  EXPECT_EQ(split(*make_metaspace(m, Prepend::first, true), "a", true), (Words{m + "a"}));
  EXPECT_EQ(split(*make_metaspace(m, Prepend::first, true), "a", false), (Words{"a"}));
  EXPECT_EQ(split(*make_metaspace(m, Prepend::never, true), "a  b"), (Words{"a", m, m + "b"}));
}

TEST(PrefixSpace, GoesBeforeWhatDoesNotBeginWithOne) {
  EXPECT_EQ(split(*make_prefix_space(), "a"), (Words{" a"}));
  EXPECT_EQ(split(*make_prefix_space(), "\na"), (Words{"\na"}));
}

}  // namespace
}  // namespace kinglet
