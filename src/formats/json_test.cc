#include "formats/json.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "host/testing.h"

namespace kinglet {
namespace {

std::string failure(std::string_view text, const JsonLimits& limits = {}) {
  const auto json = parse_json(text, limits);
  EXPECT_FALSE(json.ok()) << text;
  EXPECT_EQ(json.status().code(), Code::corrupt);
  return std::string(json.status().text());
}

TEST(Json, ReadsEveryKind) {
  const auto json = parse_json(R"({"z": [1, -2, 2.5, 1e3, true, null, "a\u00e9\n"], "a": {}, "m": []})");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->dump(), "{\"z\":[1,-2,2.5,1000.0,true,null,\"aé\\n\"],\"a\":{},\"m\":[]}");
  EXPECT_EQ(parse_json("3").value().get<int>(), 3);
  EXPECT_EQ(parse_json("18446744073709551615").value().get<uint64_t>(), UINT64_MAX);
}

TEST(Json, KeepsTheOrderOfKeysAndTheLastOfRepeatedOnes) {
  EXPECT_EQ(parse_json(R"({"b":1,"a":2,"b":3,"c":4,"a":[5]})").value().dump(), R"({"b":3,"a":[5],"c":4})");
}

TEST(Json, SaysWhereItFails) {
  EXPECT_TRUE(failure("{\n\"a\": tru}").starts_with("line 2, column 9: ")) << failure("{\n\"a\": tru}");
  EXPECT_TRUE(failure("").starts_with("line 1, column 1: "));
  for (const char* text : {"{", "[1,]", "{\"a\" 1}", "nul", "01", "\"\xff\"", "1e999", "[1] 2", "{'a':1}", "NaN",
                           "\"\\ud800\"", "[\"\n\"]", "-", "{1:2}"}) {
    failure(text);
  }
}

TEST(Json, HoldsItsLimits) {
  EXPECT_TRUE(parse_json("[[[]]]", {.max_depth = 3}).ok());
  EXPECT_NE(failure("[[[[]]]]", {.max_depth = 3}).find("deeper than 3"), std::string::npos);
  EXPECT_NE(failure(std::string(1'000'000, '[')).find("deeper than 200"), std::string::npos);
  failure(R"({"a":{"a":{"a":1}}})", {.max_depth = 2});
  failure("[1, 2]", {.max_bytes = 5});
}

TEST(Json, ReadsALargeVocabularyQuickly) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"token" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  const auto start = std::chrono::steady_clock::now();
  const auto json = parse_json(text);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->size(), 200'000u);
  // Looking through all keys for each new one takes minutes; generous for sanitizers and loaded machines.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(Json, ReadsFilesAndNamesThem) {
  TempFolder folder;
  ASSERT_TRUE(write_file(folder.file("a.json"), "{\"a\": 1}").ok());
  EXPECT_EQ(read_json(folder.file("a.json")).value()["a"], 1);
  ASSERT_TRUE(write_file(folder.file("b.json"), "{").ok());
  EXPECT_TRUE(read_json(folder.file("b.json")).status().text().starts_with(folder.file("b.json") + ": line 1"));
  EXPECT_EQ(read_json(folder.file("absent.json")).status().code(), Code::not_found);
}

TEST(Json, EveryTruncationIsAnError) {
  const std::string text =
      R"({"model": {"vocab": {"a": 0, "b\u1234": 1}, "merges": [["a", "b"]], "x": 1.5e3, "y": false}})";
  for (size_t n = 0; n < text.size(); ++n) failure(text.substr(0, n));
}

}  // namespace
}  // namespace kinglet
