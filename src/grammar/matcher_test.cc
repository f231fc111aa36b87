#include "grammar/gbnf.h"
#include "grammar/testing.h"

namespace kinglet::grammar {
namespace {

// What the mask says of a token is what reading its bytes says, at every step of random texts.
void masks_agree_with_reading(Result<Grammar> grammar, uint32_t seed) {
  std::vector<std::string> pieces;
  const auto trie = test_trie(&pieces);
  ASSERT_TRUE(grammar.ok()) << grammar.status().text();
  const auto shared = std::make_shared<Automaton>(*std::move(grammar), trie);
  Matcher m(shared), other(shared);
  std::mt19937 random(seed);
  std::string text;
  for (int step = 0; step < 40; ++step) {
    const auto allowed = m.allowed();
    ASSERT_TRUE(allowed.ok());
    std::vector<size_t> ids;
    for (size_t id = 0; id < pieces.size(); ++id) {
      const bool bit = (**allowed)[id / 64] >> (id % 64) & 1;
      other.reset();
      const bool reads = !pieces[id].empty() && other.accept(text + pieces[id]).ok();
      ASSERT_EQ(bit, reads) << "'" << text << "' + '" << pieces[id] << "'";
      if (bit) ids.push_back(id);
    }
    if (ids.empty()) break;
    text += pieces[ids[random() % ids.size()]];
    m.reset();
    ASSERT_TRUE(m.accept(text).ok());
  }
}

constexpr const char* kGrammars[] = {
    R"(root ::= "a" | "ab" root "b")",
    R"(root ::= "[" (value ("," value)*)? "]"
value ::= root | number | "\"" [a-zé]* "\""
number ::= "-"? [0-9]+ ("." [0-9]+)?)",
    R"(root ::= (word " ")* word   # words
word ::= [a-c]{2,4} | "é"+ | .)",
    "root ::= item* \"}\"\nitem ::= \"{\\\"\" item \"\\\":\" | \"ab\" item | \"1\"",
};

TEST(Matcher, MasksAgreeWithReading) {
  for (const char* source : kGrammars)
    for (uint32_t seed = 0; seed < 6; ++seed) masks_agree_with_reading(parse_gbnf(source), seed);
}

TEST(Matcher, EndsWhereTheGrammarDoes) {
  Matcher m = matcher_of(parse_gbnf(R"(root ::= "ab" "c"?)"));
  EXPECT_FALSE(m.can_end());
  ASSERT_TRUE(m.accept("ab").ok());
  EXPECT_TRUE(m.can_end());
  EXPECT_FALSE(m.must_end());
  EXPECT_FALSE(m.accept("d").ok());
  ASSERT_TRUE(m.accept("c").ok());
  EXPECT_TRUE(m.must_end());
}

TEST(Matcher, RightRecursionNeedsNoStackAndManyStatesAreForgotten) {
  Matcher m = matcher_of(parse_gbnf("root ::= \"a\" root | \"b\"\n"));
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(m.accept("a").ok());
  EXPECT_TRUE(m.accept("b").ok());
  // Each depth is a state of its own: more than the matcher keeps.
  Matcher deep = matcher_of(parse_gbnf("root ::= \"(\" root? \")\"\n"));
  for (int i = 0; i < 70'000; ++i) ASSERT_TRUE(deep.accept("(").ok());
  for (int i = 0; i < 70'000; ++i) ASSERT_TRUE(deep.accept(")").ok());
  EXPECT_TRUE(deep.must_end());
}

TEST(Matcher, AHostileGrammarEndsInAnError) {
  Matcher m = matcher_of(parse_gbnf("root ::= a a \"!\"\na ::= \"(\" a \")\" | \"(\" a \"]\" | \"x\"\n"));
  Status status = ok_status();
  for (int i = 0; i < 64 && status.ok(); ++i) status = m.accept("(");
  EXPECT_EQ(status.code(), Code::resource_exhausted);
  m.reset();
  EXPECT_TRUE(m.accept("(x)x!").ok());
}

TEST(Gbnf, RefusesWithTheLine) {
  const std::pair<const char*, const char*> cases[] = {{"root ::= \"a", "line 1"},
                                                       {"root ::= \"a\"\nb ::= [z-a]\n", "line 2"},
                                                       {"root ::= x\n", "rule x is not defined"},
                                                       {"a ::= \"b\"\n", "no rule 'root'"},
                                                       {"root ::= root \"a\" | \"b\"\n", "left recursion"},
                                                       {"root ::= a\na ::= \"\" root | \"b\"\n", "left recursion"},
                                                       {"root ::= \"a\" root\n", "no text matches"},
                                                       {"root ::= \"a\"{3,1}\n", "wrong order"},
                                                       {"root ::= ((((\"a\")))\n", "without ')'"}};
  for (const auto& [source, text] : cases) {
    const auto grammar = parse_gbnf(source);
    ASSERT_FALSE(grammar.ok()) << source;
    EXPECT_NE(grammar.status().text().find(text), std::string_view::npos) << source << ": " << grammar.status().text();
  }
  EXPECT_EQ(parse_gbnf("root ::= ((\"a\"{1000}){1000}){1000}\n").status().code(), Code::resource_exhausted);
}

}  // namespace
}  // namespace kinglet::grammar
