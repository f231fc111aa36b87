#include "cli/tokenize.h"

#include <gtest/gtest.h>

#include <sstream>

#include "formats/json.h"

namespace kinglet::cli {
namespace {

/// Bytes a to d, "ab", a control token <s> that starts a text.
Tokenizer small_tokenizer() {
  auto json = parse_json(R"({
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "ab": 4, "\u0120": 5, "\u00c3": 7}, "merges": ["a b"]},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "added_tokens": [{"id": 6, "content": "<s>", "special": true}]})");
  auto config = parse_json(R"({"bos_token": "<s>"})");
  return *Tokenizer::from_tokenizer_json(*json, *config);
}

TEST(Tokenize, JsonLines) {
  const Tokenizer tokenizer = small_tokenizer();
  std::istringstream in("\"abc\"\n\"<s>a\"\n\"\"\n");
  std::ostringstream out;
  ASSERT_TRUE(tokenize_json_lines(tokenizer, {.special = SpecialTokens::parse}, in, out).ok());
  EXPECT_EQ(out.str(), "[4, 2]\n[6, 0]\n[]\n");
}

TEST(Tokenize, JsonLinesNameTheBadLine) {
  const Tokenizer tokenizer = small_tokenizer();
  for (const char* bad : {"\"a\"\n17\n", "\"a\"\n\n", "\"a\"\n\"open\n", "\"a\"\n[\"b\"]\n"}) {
    std::istringstream in(bad);
    std::ostringstream out;
    const Status status = tokenize_json_lines(tokenizer, {}, in, out);
    EXPECT_EQ(status.code(), Code::invalid_argument);
    EXPECT_NE(status.text().find("line 2"), std::string_view::npos) << status.text();
    EXPECT_EQ(out.str(), "[0]\n");
  }
}

TEST(Tokenize, BosComesFirstWhereAskedFor) {
  const Tokenizer tokenizer = small_tokenizer();
  EXPECT_EQ(*tokenize_text(tokenizer, "ab", {.bos = true}), (std::vector<TokenId>{6, 4}));
  EXPECT_EQ(*tokenize_text(tokenizer, "ab", {}), (std::vector<TokenId>{4}));
}

TEST(Tokenize, BosOfAModelWithoutOneIsAnError) {
  auto json = parse_json(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})");
  const Tokenizer tokenizer = *Tokenizer::from_tokenizer_json(*json);
  EXPECT_EQ(tokenize_text(tokenizer, "a", {.bos = true}).status().code(), Code::unsupported);
}

TEST(Tokenize, TheTableShowsIdsAndPieces) {
  const Tokenizer tokenizer = small_tokenizer();
  EXPECT_EQ(token_table(tokenizer, {6, 4, 5}), "6  \"<s>\"  (control)\n4  \"ab\"\n5  \" \"\n");
}

TEST(Tokenize, EveryByteOfAPieceCanBeSeen) {
  EXPECT_EQ(quoted_piece("a \"b\" \\ \n\t\r"), R"("a \"b\" \\ \n\t\r")");
  EXPECT_EQ(quoted_piece("caf\xC3\xA9 \xE4\xBD\xA0"), "\"caf\xC3\xA9 \xE4\xBD\xA0\"");
  EXPECT_EQ(quoted_piece(std::string_view("\x00\x7F\xC3\xF0\x9F\x98", 6)), R"("\x00\x7f\xc3\xf0\x9f\x98")");
  EXPECT_EQ(quoted_piece("\xED\xA0\x80"), R"("\xed\xa0\x80")");
}

}  // namespace
}  // namespace kinglet::cli
