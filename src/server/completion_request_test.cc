#include "server/completion_request.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kinglet::server {
namespace {

Json chat_body() { return {{"model", "m"}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}}; }

CompletionRequest good_completion(const Json& body) {
  auto parsed = parse_chat_request(body);
  if (const auto* error = std::get_if<ApiError>(&parsed)) {
    ADD_FAILURE() << error->message;
    return {};
  }
  return std::get<CompletionRequest>(parsed);
}

ApiError bad(const Json& body) {
  auto parsed = parse_chat_request(body);
  EXPECT_TRUE(std::holds_alternative<ApiError>(parsed)) << body;
  return std::holds_alternative<ApiError>(parsed) ? std::get<ApiError>(parsed) : ApiError{};
}

TEST(CompletionRequestTest, TheSchemasDefaults) {
  const CompletionRequest request = good_completion(chat_body());
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.options.sampling.temperature, 1);
  EXPECT_EQ(request.options.sampling.top_p, 1);
  EXPECT_EQ(request.options.sampling.top_k, 0);
  EXPECT_EQ(request.options.max_tokens, 0);
  EXPECT_EQ(request.choices, 1);
  EXPECT_FALSE(request.stream);
}

TEST(CompletionRequestTest, EveryParameterArrives) {
  Json body = chat_body();
  body.update(Json{{"temperature", 0.5},
                   {"top_p", 0.9},
                   {"n", 2},
                   {"stop", {"a", "b"}},
                   {"seed", 7},
                   {"max_completion_tokens", 5},
                   {"logprobs", true},
                   {"top_logprobs", 3},
                   {"presence_penalty", 1},
                   {"stream", true},
                   {"frequency_penalty", -1},
                   {"user", "u"}});
  body["logit_bias"] = {{"5", -100}, {"6", 1.5}};
  body["stream_options"] = {{"include_usage", true}};
  const CompletionRequest r = good_completion(body);
  EXPECT_EQ(r.options.sampling.temperature, 0.5f);
  EXPECT_EQ(r.options.sampling.seed, 7u);
  EXPECT_EQ(r.options.stops, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(r.options.max_tokens, 5);
  EXPECT_EQ(r.choices, 2);
  EXPECT_EQ(r.top_logprobs, 3);
  EXPECT_TRUE(std::isinf(r.options.sampling.logit_bias.at(5)));
  EXPECT_EQ(r.options.sampling.logit_bias.at(6), 1.5f);
  EXPECT_TRUE(r.stream && r.include_usage && r.logprobs);
}

TEST(CompletionRequestTest, WhatCannotBeHonouredIsRefusedByName) {
  const std::vector<std::pair<const char*, Json>> cases = {
      {"temperature", -1},
      {"temperature", "hot"},
      {"top_p", 1.5},
      {"n", 0},
      {"n", 1e300},
      {"max_tokens", 0},
      {"max_tokens", -5},
      {"max_tokens", UINT64_MAX},
      {"seed", 1.5},
      {"stop", {1}},
      {"logit_bias", {{"x", 1}}},
      {"logit_bias", {{"1", 101}}},
      {"stream", 1},
      {"stream_options", {{"include_usage", true}}},
      {"top_logprobs", 2},
      {"response_format", {{"type", "json_schema"}}},
      {"tool_choice", "required"},
      {"modalities", {"text", "audio"}},
      {"store", true},
      {"never_heard_of", 1},
      {"functions", Json::array()},
  };
  for (const auto& [name, value] : cases) {
    Json body = chat_body();
    body[name] = value;
    const ApiError error = bad(body);
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.param, name) << value;
    EXPECT_NE(error.message.find(name), std::string::npos) << error.message;
  }
}

TEST(CompletionRequestTest, AFormIsOfTheSchemaThatIsNamed) {
  Json body = chat_body();
  EXPECT_FALSE(good_completion(body).form);
  body["response_format"] = {{"type", "json_object"}};
  EXPECT_EQ(good_completion(body).form->schema, Json({{"type", "object"}}));
  body["response_format"] = {{"type", "json_schema"},
                             {"json_schema", {{"name", "x"}, {"strict", true}, {"schema", {{"type", "integer"}}}}}};
  EXPECT_EQ(good_completion(body).form->schema, Json({{"type", "integer"}}));
  body["response_format"]["json_schema"].erase("schema");
  EXPECT_EQ(bad(body).param, "response_format");
}

TEST(CompletionRequestTest, MessagesBecomeWhatTemplatesTake) {
  Json body = chat_body();
  body["messages"] = Json::parse(R"([
    {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
    {"role": "assistant", "content": null,
     "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
    {"role": "tool", "content": "3", "tool_call_id": "1"}])");
  const Json messages = good_completion(body).conversation.messages;
  EXPECT_EQ(messages[0]["role"], "system");
  EXPECT_EQ(messages[0]["content"], "Be brief.");
  EXPECT_EQ(messages[1]["tool_calls"][0]["function"]["arguments"]["x"], 1);

  for (const char* wrong :
       {"[]", "[1]", "[{}]", R"([{"role": "user"}])", R"([{"role": "wizard", "content": "Hi"}])",
        R"([{"role": "user", "content": 5}])",
        R"([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])",
        R"([{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}])"}) {
    body["messages"] = Json::parse(wrong);
    EXPECT_EQ(bad(body).param, "messages") << wrong;
  }
}

TEST(CompletionRequestTest, BodiesThatAreNoObjectAreRefused) {
  for (const std::string& text : {std::string(), std::string("{"), std::string("[1]"), std::string("null"),
                                  std::string(100000, '['), std::string("{\"a\": \xFF}")}) {
    auto parsed = parse_body(text);
    ASSERT_TRUE(std::holds_alternative<ApiError>(parsed));
    EXPECT_EQ(std::get<ApiError>(parsed).status, 400);
  }
}

TEST(CompletionRequestTest, CompletionsTakeATextOrTokens) {
  auto text = parse_completion_request({{"prompt", "Once"}});
  ASSERT_TRUE(std::holds_alternative<CompletionRequest>(text));
  EXPECT_EQ(std::get<CompletionRequest>(text).prompt, "Once");
  EXPECT_EQ(std::get<CompletionRequest>(text).options.max_tokens, 16);
  auto ids = parse_completion_request({{"prompt", {1, 2, 3}}});
  ASSERT_TRUE(std::holds_alternative<CompletionRequest>(ids));
  EXPECT_EQ(std::get<CompletionRequest>(ids).prompt_ids.size(), 3u);
  for (const Json& wrong : {Json(1), Json({"a", "b"}), Json({-1}), Json({1, "x"}), Json::array()}) {
    EXPECT_TRUE(std::holds_alternative<ApiError>(parse_completion_request({{"prompt", wrong}}))) << wrong;
  }
}

}  // namespace
}  // namespace kinglet::server
