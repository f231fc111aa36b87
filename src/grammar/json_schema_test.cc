#include "grammar/json_schema.h"

#include "formats/json.h"
#include "grammar/testing.h"

namespace kinglet::grammar {
namespace {

Result<Grammar> grammar_of(std::string_view schema) {
  KL_ASSIGN(const Json json, parse_json(schema));
  return compile_json_schema(json);
}

struct Case {
  const char* schema;
  std::vector<const char*> valid, invalid;
};

const Case kCases[] = {
    {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["b"]})",
     {R"({"a": 1,"b":"x"})", R"({"b":"x"})", R"({ "b": "\u00e9\n" })", "{\n  \"a\": -7, \"b\": \"\"\n}"},
     {R"({"a":1})", R"({"b":1})", R"({"b":"x","c":1})", R"({"b":"x"},)", R"({"a":01,"b":""})", "{\"b\":\"\n\"}"}},
    {R"({"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":3})",
     {"[true]", "[true, false, true]"},
     {"[]", "[true,]", "[true,true,true,true]", "[1]"}},
    {R"({"prefixItems":[{"type":"integer"},{"type":"null"}],"items":false,"minItems":1})",
     {"[1]", "[1,null]"},
     {"[]", "[null]", "[1,null,1]"}},
    {R"({"prefixItems":[{"type":"null"}],"items":{"type":"integer"},"maxItems":3})",
     {"[]", "[null]", "[null,1,2]"},
     {"[1]", "[null,1,2,3]"}},
    {R"({"enum":["a","b\"c",1,null,[1,2]]})", {"\"a\"", "\"b\\\"c\"", "1", "null", "[1,2]"}, {"a", "\"c\"", "2"}},
    {R"({"const":{"x":1}})", {"{\"x\":1}"}, {"{}", "{\"x\":2}"}},
    {R"({"anyOf":[{"type":"integer","minimum":3,"maximum":1205},{"type":"null"}]})",
     {"3", "9", "10", "99", "999", "1000", "1205", "null"},
     {"2", "1206", "2000", "-3", "03", "1e2"}},
    {R"({"type":"integer","exclusiveMinimum":-12,"maximum":4})", {"-11", "-1", "0", "4"}, {"-12", "5", "-99", "--1"}},
    {R"({"type":"number","minimum":0,"exclusiveMaximum":1})", {"0", "0.5", "0.999"}, {"1", "1.0", "-0.1", "00"}},
    {R"({"type":"number","exclusiveMinimum":-2,"maximum":2})",
     {"-1.5", "-0.1", "0", "2", "2.0", "1.9"},
     {"-2", "-2.5", "2.1", "3"}},
    {R"({"type":"string","minLength":2,"maxLength":3})",
     {"\"ab\"", "\"é\\n\"", "\"名名名\""},
     {"\"a\"", "\"abcd\"", "ab"}},
    {R"({"type":"string","pattern":"^[A-Z]+-\"?$"})", {"\"AB-\"", "\"A-\\\"\""}, {"\"a-\"", "\"A-\"\""}},
    {R"({"type":"string","format":"date"})",
     {"\"2024-02-29\"", "\"1999-12-31\"", "\"2000-02-29\""},
     {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-13-01\""}},
    {R"({"type":"string","format":"duration"})",
     {"\"P3D\"", "\"P1DT2H\"", "\"PT5M10S\"", "\"P2W\""},
     {"\"P\"", "\"PT\"", "\"P1H\"", "\"P1W2D\""}},
    {R"({"type":"string","format":"relative-json-pointer"})",
     {"\"0\"", "\"1#\"", "\"2/a/0\""},
     {"\"/a\"", "\"01\"", "\"0#/a\""}},
    {R"({"allOf":[{"prefixItems":[{"minimum":3}]}],"items":{"type":"integer","minimum":5}})",
     {"[]", "[5]", "[7,5]"},
     {"[3]", "[5,4]"}},
    {R"({"then":{"const":0},"minContains":2,"type":"integer"})", {"7"}, {"\"\""}},
    {R"({"$ref":"#n","$defs":{"a":{"$anchor":"n","type":"null"}}})", {"null"}, {"1"}},
    {R"({"$ref":"#/$defs/a%25b","$defs":{"a%b":{"type":"null"}}})", {"null"}, {"1"}},
    {R"({"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v"]}}})",
     {R"({"v":1})", R"({"v":1,"kids":[{"v":2,"kids":[]},{"v":3}]})"},
     {R"({"kids":[]})", R"({"v":1,"kids":[{}]})"}},
    {R"({"type":"object","additionalProperties":{"type":"integer"},"properties":{"ab":{"type":"null"},"abc":{"type":"null"}}})",
     {R"({})", R"({"ab":null,"x":1,"abcd":2})", R"({"a":1})", R"({"":1})", R"({"é":1})"},
     {R"({"ab":1})", R"({"abc":2})", R"({"x":null})", R"({"x":1,"ab":null})"}},
    {R"({"allOf":[{"type":"object","properties":{"a":{"type":"number"}}},{"properties":{"a":{"type":"integer","minimum":2}},"required":["a"]}]})",
     {R"({"a":2})"},
     {R"({})", R"({"a":1})", R"({"a":2.5})"}},
    {R"({"oneOf":[{"type":"object","properties":{"k":{"const":"x"},"n":{"type":"integer"}},"required":["k","n"]},{"type":"object","properties":{"k":{"const":"y"}},"required":["k"]}]})",
     {R"({"k":"x","n":1})", R"({"k":"y"})"},
     {R"({"k":"x"})", R"({"k":"y","n":1})"}},
    {R"({"anyOf":[{"required":["b"]},{"required":["c"]}],"type":"object","properties":{"a":true,"b":{"type":"null"},"c":{"type":"null"}}})",
     {R"({"b":null})", R"({"a":[{}],"c":null})"},
     {R"({})", R"({"a":1})"}},
    {R"({"type":["string","null"]})", {"null", "\"\""}, {"1"}},
    {R"(true)", {"{\"a\":[1,2,{\"b\":null}]}", "-0.5e+10", "\"\\ud83d\""}, {"{", "01", "nul"}},
};

TEST(JsonSchema, AllowsWhatIsValidAndNothingElse) {
  for (const Case& c : kCases) {
    Matcher m = matcher_of(grammar_of(c.schema));
    for (const char* text : c.valid) {
      if (std::string_view(text).find("\\ud83d") != std::string_view::npos) continue;  // half a pair: below
      EXPECT_TRUE(matches(m, text)) << c.schema << "\n" << text;
    }
    for (const char* text : c.invalid) EXPECT_FALSE(matches(m, text)) << c.schema << "\n" << text;
  }
  Matcher any = matcher_of(grammar_of("true"));
  EXPECT_FALSE(matches(any, "\"\\ud83d\"")) << "half of a surrogate pair is no character";
}

TEST(JsonSchema, EveryRandomTextParses) {
  std::mt19937 random(7);
  for (const Case& c : kCases) {
    Matcher m = matcher_of(grammar_of(c.schema));
    int written = 0;
    for (int n = 0; n < 30; ++n) {
      const std::string text = random_text(m, random, 30);
      if (text.empty()) continue;
      ++written;
      EXPECT_TRUE(parse_json(text).ok()) << c.schema << "\n" << text;
    }
    EXPECT_GT(written, 0) << c.schema;
  }
}

TEST(JsonSchema, FailsClosedWithTheKeyword) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"array","uniqueItems":true})", "'uniqueItems'"},
      {R"({"properties":{"a":{"not":{}}}})", "#/properties/a: 'not'"},
      {R"({"type":"number","multipleOf":3})", "'multipleOf'"},
      {R"({"type":"number","minimum":0.5})", "'minimum'"},
      {R"({"patternProperties":{}})", "'patternProperties'"},
      {R"({"if":{},"then":{}})", "'"},
      {R"({"type":"string","format":"color"})", "'format'"},
      {R"x({"type":"string","pattern":"(?=a)"})x", "look-around"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "'oneOf'"},
      {R"({"$ref":"http://example.com/x"})", "'$ref'"},
      {R"({"$ref":"#/$defs/none"})", "'$ref'"},
      {R"({"$ref":"#"})", "no text matches"},
      {R"({"type":"thing"})", "'type'"},
      {R"({"type":"string","minLength":3,"maxLength":1})", "'maxLength'"},
      {R"({"type":"string","maxLength":1000000})", "'maxLength'"},
      {R"({"allOf":[{"type":"string"},{"type":"null"}]})", "allOf"},
      {R"({"enum":[]})", "no text matches"},
      {R"([])", "a schema is"},
  };
  for (const auto& [schema, text] : cases) {
    const auto grammar = grammar_of(schema);
    ASSERT_FALSE(grammar.ok()) << schema;
    EXPECT_NE(grammar.status().text().find(text), std::string_view::npos) << schema << ": " << grammar.status().text();
  }
}

TEST(JsonSchema, WhatIsRefusedLeavesTheRestOfAGrammarAsItWas) {
  Builder b;
  const Builder::Expr one = *json_schema_text(b, Json{{"const", 1}});
  EXPECT_FALSE(json_schema_text(b, Json::parse(R"({"properties":{"a":{"type":"string"},"b":{"not":{}}}})")).ok());
  const Builder::Expr two = *json_schema_text(b, Json{{"const", 2}});
  const RuleId root = b.declare("root");
  b.define(root, b.choice({one, two}));
  Matcher m = matcher_of(b.build(root));
  EXPECT_TRUE(matches(m, "1") && matches(m, "2"));
}

TEST(JsonSchema, ASchemaBombIsRefusedBeforeItTakesMemory) {
  Json values = Json::array();
  for (int i = 0; i < 200'000; ++i) values.push_back(std::to_string(i));
  EXPECT_EQ(compile_json_schema(Json{{"enum", std::move(values)}}).status().code(), Code::resource_exhausted);
}

}  // namespace
}  // namespace kinglet::grammar
