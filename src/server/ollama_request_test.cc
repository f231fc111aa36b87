#include "server/ollama_request.h"

#include <gtest/gtest.h>

#include "server/responses_request.h"

namespace kinglet::server {
namespace {

OllamaRequest good_ollama(const Json& body, OllamaKind kind = OllamaKind::chat) {
  auto parsed = parse_ollama_request(body, kind);
  if (const auto* error = std::get_if<ApiError>(&parsed)) {
    ADD_FAILURE() << error->message;
    return {};
  }
  return std::get<OllamaRequest>(std::move(parsed));
}

std::string param(const Json& body, OllamaKind kind = OllamaKind::chat) {
  const auto parsed = parse_ollama_request(body, kind);
  return std::holds_alternative<ApiError>(parsed) ? std::get<ApiError>(parsed).param : "";
}

const Json kMessages = Json::parse(R"([{"role": "user", "content": "Hi"}])");

TEST(OllamaRequestTest, OptionsHaveOllamasDefaultsAndNames) {
  const OllamaRequest plain = good_ollama({{"model", "m"}, {"messages", kMessages}});
  EXPECT_TRUE(plain.stream);
  EXPECT_EQ(plain.chat.options.sampling.temperature, 0.8f);
  EXPECT_EQ(plain.chat.options.sampling.top_k, 40);
  EXPECT_EQ(plain.chat.options.sampling.repetition_penalty, 1.1f);
  EXPECT_EQ(plain.chat.options.sampling.penalty_window, 64);
  EXPECT_EQ(plain.chat.options.max_tokens, 0);
  const OllamaRequest set = good_ollama(
      {{"messages", kMessages},
       {"stream", false},
       {"keep_alive", "5m"},
       {"think", false},
       {"options",
        {{"num_predict", 7}, {"temperature", 0}, {"repeat_last_n", -1}, {"num_ctx", 4096}, {"stop", {"x"}}}}});
  EXPECT_FALSE(set.stream);
  EXPECT_EQ(set.chat.options.max_tokens, 7);
  EXPECT_EQ(set.chat.options.sampling.penalty_window, -1);
  EXPECT_EQ(set.chat.options.stops, std::vector<std::string>{"x"});
  EXPECT_EQ(set.chat.conversation.variables["enable_thinking"], false);
}

TEST(OllamaRequestTest, WhatCannotBeHonouredIsRefusedByName) {
  EXPECT_EQ(param({{"messages", kMessages}, {"options", {{"mirostat", 1}}}}), "mirostat");
  EXPECT_EQ(param({{"messages", kMessages}, {"options", {{"nothing", 1}}}}), "nothing");
  EXPECT_EQ(param({{"messages", kMessages}, {"format", 3}}), "format");
  EXPECT_EQ(param({{"prompt", "x"}, {"suffix", "y"}}, OllamaKind::generate), "suffix");
  EXPECT_EQ(param({{"prompt", "x"}, {"images", {"aGk="}}}, OllamaKind::generate), "images");
  EXPECT_EQ(param({{"messages", {{{"role", "user"}, {"content", "x"}, {"images", {"aGk="}}}}}}), "images");
}

TEST(OllamaRequestTest, ResultsBelongToTheCallsInTheirOrder) {
  const Json messages = Json::parse(R"([{"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "a", "arguments": {}}}, {"function": {"name": "b", "arguments": {}}}]},
    {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}])");
  const Json out = good_ollama({{"messages", messages}}).chat.conversation.messages;
  EXPECT_EQ(out[2]["tool_call_id"], out[1]["tool_calls"][0]["id"]);
  EXPECT_EQ(out[3]["tool_call_id"], out[1]["tool_calls"][1]["id"]);
}

TEST(OllamaRequestTest, GenerateIsAChatOfOneMessageOrARawText) {
  const OllamaRequest generate = good_ollama({{"prompt", "Hi"}, {"system", "Be brief."}}, OllamaKind::generate);
  EXPECT_EQ(generate.chat.conversation.messages.size(), 2u);
  EXPECT_TRUE(good_ollama({{"prompt", "Hi"}, {"raw", true}}, OllamaKind::generate).raw);
  EXPECT_TRUE(good_ollama({{"model", "m"}}, OllamaKind::generate).empty);
  EXPECT_TRUE(good_ollama({{"model", "m"}, {"messages", Json::array()}}).empty);
}

TEST(ResponsesRequestTest, ItemsBecomeMessages) {
  const auto parsed = parse_responses_request(Json::parse(R"({"instructions": "A.", "input": [
    {"role": "developer", "content": "B."},
    {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
    {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
    {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{\"x\": 1}"},
    {"type": "function_call_output", "call_id": "1", "output": "3"}],
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "integer"}}},
    "reasoning": {"effort": "high"}})"));
  ASSERT_TRUE(std::holds_alternative<ResponsesRequest>(parsed)) << std::get<ApiError>(parsed).message;
  const CompletionRequest& chat = std::get<ResponsesRequest>(parsed).chat;
  const Json& messages = chat.conversation.messages;
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0], (Json{{"role", "system"}, {"content", "A.\n\nB."}}));
  EXPECT_EQ(messages[2]["reasoning_content"], "Hm.");
  EXPECT_EQ(messages[2]["tool_calls"][0]["function"]["arguments"]["x"], 1);
  EXPECT_EQ(messages[3]["tool_call_id"], "1");
  ASSERT_TRUE(chat.form);
  EXPECT_EQ(chat.form->param, "text.format");
  EXPECT_EQ(chat.conversation.variables["enable_thinking"], true);
}

TEST(ResponsesRequestTest, ErrorsHaveItsOwnNames) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"input": ""})", ""},
      {R"({})", "input"},
      {R"({"input": "x", "text": {"format": {"type": "json_schema", "name": "n"}}})", "text.format"},
      {R"({"input": "x", "max_output_tokens": 0})", "max_output_tokens"},
      {R"({"input": "x", "reasoning": {"effort": "immense"}})", "reasoning.effort"},
      {R"({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]})", "input"},
      {R"({"input": "x", "include": ["web_search_call.results"]})", "include"},
  };
  for (const auto& [body, name] : cases) {
    const auto parsed = parse_responses_request(Json::parse(body));
    EXPECT_EQ(std::holds_alternative<ApiError>(parsed) ? std::get<ApiError>(parsed).param : "", name) << body;
  }
}

}  // namespace
}  // namespace kinglet::server
