#include "grammar/gbnf.h"
#include "grammar/testing.h"

namespace kinglet::grammar {
namespace {

TEST(ShortestTest, CountsBytesToTheEndThroughRules) {
  Matcher m =
      matcher_of(parse_gbnf("root ::= \"<\" item \">\"\nitem ::= \"a\" | \"(\" item item \")\" | \"[\" item \"]\""));
  EXPECT_EQ(m.bytes_to_end(), 3);
  ASSERT_TRUE(m.accept("<").ok());
  EXPECT_EQ(m.bytes_to_end(), 2);
  EXPECT_EQ(m.bytes_to_end_after("("), 4);
  EXPECT_EQ(m.bytes_to_end_after("([(a"), 6);
  EXPECT_EQ(m.bytes_to_end_after("a"), 1);
  EXPECT_EQ(m.bytes_to_end_after("a>"), 0);
  EXPECT_EQ(m.bytes_to_end_after(">"), std::nullopt);
  EXPECT_EQ(m.bytes_to_end(), 2) << "asking changes nothing";
}

TEST(ShortestTest, WhatCanEndNeedsNothing) {
  Matcher m = matcher_of(parse_gbnf("root ::= [0-9]*"));
  EXPECT_EQ(m.bytes_to_end(), 0);
}

}  // namespace
}  // namespace kinglet::grammar
