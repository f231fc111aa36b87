#include "server/tool_grammar.h"

#include <gtest/gtest.h>

#include "grammar/matcher.h"
#include "server/testing.h"

namespace kinglet::server {
namespace {

ToolUse use_of(const char* body) {
  const Json json = Json::parse(body);
  RequestFields fields(json);
  ToolUse out = parse_tools(fields);
  EXPECT_FALSE(fields.finish().has_value()) << fields.finish()->message;
  return out;
}

std::string refusal(const char* body) {
  const Json json = Json::parse(body);
  RequestFields fields(json);
  static_cast<void>(parse_tools(fields));
  const auto wrong = fields.finish();
  return wrong ? wrong->param : "";
}

constexpr char kTwo[] = R"({"tools": [
  {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {
    "a": {"type": "integer"}, "b": {"$ref": "#/$defs/n"}}, "required": ["a", "b"], "$defs": {"n": {"type": "integer"}}}}},
  {"type": "function", "function": {"name": "now"}}]})";

bool allows(const ChatFamily& family, const ToolUse& use, std::string_view text, const Json* schema = nullptr) {
  auto made = tool_grammar(family, use, schema);
  if (!made.ok()) {
    ADD_FAILURE() << made.status().text();
    return false;
  }
  std::vector<std::string> pieces;
  for (int c = 0; c < 256; ++c) pieces.emplace_back(1, static_cast<char>(c));
  grammar::Matcher matcher(
      std::make_shared<grammar::Automaton>(*std::move(made), std::make_shared<const grammar::TokenTrie>(pieces)));
  return matcher.accept(text).ok() && matcher.can_end();
}

TEST(ToolRequestTest, ChoicesAreOfTheToolsThatThereAre) {
  EXPECT_EQ(use_of(kTwo).names(), (std::vector<std::string>{"add", "now"}));
  EXPECT_TRUE(use_of(kTwo).active());
  Json body = Json::parse(kTwo);
  body["tool_choice"] = "none";
  EXPECT_FALSE(use_of(body.dump().c_str()).active());
  EXPECT_TRUE(use_of(body.dump().c_str()).for_template.is_null());
  body["tool_choice"] = Json::parse(R"({"type": "function", "function": {"name": "now"}})");
  const ToolUse named = use_of(body.dump().c_str());
  EXPECT_EQ(named.names(), std::vector<std::string>{"now"});
  EXPECT_EQ(named.choice, ToolChoice::required);
  EXPECT_EQ(named.for_template.size(), 2u);
  body["tool_choice"] = Json::parse(
      R"({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "add"}}]}})");
  EXPECT_EQ(use_of(body.dump().c_str()).names(), std::vector<std::string>{"add"});

  for (const char* wrong : {R"("always")", R"({"type": "function", "function": {"name": "nobody"}})", "1", "{}"}) {
    body["tool_choice"] = Json::parse(wrong);
    EXPECT_EQ(refusal(body.dump().c_str()), "tool_choice") << wrong;
  }
  EXPECT_EQ(refusal(R"({"tool_choice": "required"})"), "tool_choice");
  for (const char* wrong :
       {"{}", "[1]", R"([{"type": "function"}])", R"([{"type": "custom", "custom": {"name": "x"}}])",
        R"([{"type": "function", "function": {"name": ""}}])",
        R"([{"type": "function", "function": {"name": "f", "parameters": 3}}])"}) {
    EXPECT_EQ(refusal((std::string("{\"tools\": ") + wrong + "}").c_str()), "tools") << wrong;
  }
}

TEST(ToolGrammarTest, EachFamilysForm) {
  const ToolUse use = use_of(kTwo);
  const std::string add = R"({"name": "add", "arguments": {"a": 1, "b": 2}})",
                    now = R"({"name": "now", "arguments": {}})";
  EXPECT_TRUE(allows(family_named("hermes"), use, "<tool_call>\n" + add + "\n</tool_call>"));
  EXPECT_TRUE(allows(family_named("hermes"), use,
                     "<tool_call>\n" + add + "\n</tool_call>\n<tool_call>\n" + now + "\n</tool_call>"));
  EXPECT_TRUE(allows(family_named("hermes"), use, add));
  EXPECT_TRUE(allows(family_named("hermes"), use, "```json\n" + add + "\n```"));
  EXPECT_FALSE(allows(family_named("mistral"), use, add));
  EXPECT_FALSE(
      allows(family_named("hermes"), use, "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>"));
  EXPECT_FALSE(
      allows(family_named("hermes"), use, "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\": 1}}\n</tool_call>"));
  EXPECT_TRUE(allows(family_named("mistral"), use, "[TOOL_CALLS][" + add + ", " + now + "]"));
  EXPECT_TRUE(allows(family_named("phi-4-mini"), use, "<|tool_call|>[" + add + "]"));
  EXPECT_TRUE(allows(family_named("phi-4-mini"), use, "functools[" + add + "]"));
  const std::string parameters = R"({"name": "add", "parameters": {"a": 1, "b": 2}})";
  EXPECT_TRUE(allows(family_named("llama-3"), use, parameters));
  EXPECT_TRUE(allows(family_named("llama-3"), use, "<|python_tag|>" + parameters));
  EXPECT_FALSE(allows(family_named("llama-3"), use, add));
}

TEST(ToolGrammarTest, OneCallWhereSeveralAreNotWanted) {
  Json body = Json::parse(kTwo);
  body["parallel_tool_calls"] = false;
  const ToolUse use = use_of(body.dump().c_str());
  const std::string now = R"({"name": "now", "arguments": {}})";
  EXPECT_TRUE(allows(family_named("mistral"), use, "[TOOL_CALLS][" + now + "]"));
  EXPECT_FALSE(allows(family_named("mistral"), use, "[TOOL_CALLS][" + now + ", " + now + "]"));
}

TEST(ToolGrammarTest, BesideASchemaAValueOfItIsAllowed) {
  const Json schema = {{"type", "integer"}};
  EXPECT_TRUE(allows(family_named("hermes"), use_of(kTwo), "12", &schema));
  EXPECT_TRUE(allows(family_named("hermes"), use_of(kTwo),
                     "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>", &schema));
}

TEST(ToolGrammarTest, ParametersThatCannotBeHeldAreRefusedWhereTheyMustBe) {
  const char* const odd = R"({"tools": [{"type": "function", "function": {"name": "f", "parameters":
    {"type": "object", "properties": {"x": {"type": "integer", "multipleOf": 3}}}}}]})";
  EXPECT_TRUE(allows(family_named("hermes"), use_of(odd),
                     "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 4}}</tool_call>"));
  Json body = Json::parse(odd);
  body["tool_choice"] = "required";
  const auto required = tool_grammar(family_named("hermes"), use_of(body.dump().c_str()), nullptr);
  EXPECT_NE(required.status().text().find("multipleOf"), std::string::npos) << required.status().text();
  body["tool_choice"] = "auto";
  body["tools"][0]["function"]["strict"] = true;
  EXPECT_FALSE(tool_grammar(family_named("hermes"), use_of(body.dump().c_str()), nullptr).ok());
}

TEST(ToolGrammarTest, SoManyToolsThatTheirSchemasDoNotFitTakeAnyObject) {
  Json body = {{"tools", Json::array()}};
  for (int i = 0; i < 300; ++i) {
    Json properties = Json::object();
    for (int p = 0; p < 12; ++p) properties["p" + std::to_string(p)] = {{"type", "string"}, {"maxLength", 100}};
    body["tools"].push_back({{"type", "function"},
                             {"function",
                              {{"name", "f" + std::to_string(i)},
                               {"parameters", {{"type", "object"}, {"properties", std::move(properties)}}}}}});
  }
  EXPECT_TRUE(allows(family_named("mistral"), use_of(body.dump().c_str()),
                     R"([TOOL_CALLS][{"name": "f7", "arguments": {"x": 1}}])"));
  body["tool_choice"] = "required";
  EXPECT_FALSE(tool_grammar(family_named("mistral"), use_of(body.dump().c_str()), nullptr).ok());
}

}  // namespace
}  // namespace kinglet::server
