#include "grammar/regex.h"

#include <regex>

#include "grammar/testing.h"

namespace kinglet::grammar {
namespace {

Result<Grammar> grammar_of(std::string_view pattern, RegexMatch match) {
  Builder b;
  KL_ASSIGN(const Builder::Expr e, regex(b, pattern, match));
  const RuleId root = b.declare("pattern");
  b.define(root, e);
  return b.build(root);
}

// The same texts match as with the standard library's ECMAScript expressions.
TEST(Regex, AgreesWithTheStandardLibrary) {
  constexpr const char* kPatterns[] = {"a",
                                       "a|bc",
                                       "^a+b*$",
                                       "^(ab|a)(c|bcd)?d*$",
                                       "[^a-c]",
                                       "^[a-c]{2,3}$",
                                       "^\\d+\\.\\d$",
                                       "^a{2,}?$",
                                       "(?:ab)+$",
                                       "^\\w\\s\\W$",
                                       "^a.c$",
                                       "^[\\d-]+$",
                                       "\\x61\\u0062",
                                       "^$",
                                       "^|x$",
                                       "b{0}c"};
  std::mt19937 random(1);
  for (const char* pattern : kPatterns) {
    Matcher m = matcher_of(grammar_of(pattern, RegexMatch::anywhere));
    const std::regex expected(pattern);
    for (int n = 0; n < 400; ++n) {
      std::string text;
      for (size_t i = random() % 6; i > 0; --i) text += "aabbccd1. -\n"[random() % 12];
      ASSERT_EQ(matches(m, text), std::regex_search(text, expected)) << pattern << " on '" << text << "'";
    }
  }
}

TEST(Regex, ReadsCharactersNotBytes) {
  Matcher m = matcher_of(grammar_of("[à-ÿ].", RegexMatch::whole));
  EXPECT_TRUE(matches(m, "é名"));
  EXPECT_FALSE(matches(m, "é"));
  EXPECT_FALSE(matches(m, "e名"));
  EXPECT_FALSE(matches(m, "é\xE5\x90"));
}

TEST(Regex, RefusesWhatIsNotRegularByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"(?=a)", "look-around"}, {"(a)\\1", "back reference"}, {"a\\b", "\\b"},
      {"\\p{L}", "\\p"},        {"a++", "possessive"},        {"a(^b)", "'^'"},
      {"(a$)b", "'$'"},         {"(a", "without ')'"},        {"[a", "without ']'"},
      {"*a", "of nothing"},     {"a{2,1}", "order"}};
  for (const auto& [pattern, text] : cases) {
    const auto grammar = grammar_of(pattern, RegexMatch::whole);
    ASSERT_FALSE(grammar.ok()) << pattern;
    EXPECT_NE(grammar.status().text().find(text), std::string_view::npos) << pattern << ": " << grammar.status().text();
  }
}

}  // namespace
}  // namespace kinglet::grammar
