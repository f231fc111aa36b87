#include "server/chat_family.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace kinglet::server {
namespace {

namespace fs = std::filesystem;
constexpr char kPhi4Mini[] =
    "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not "
    "none %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' "
    "}}{% else %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}";

Json conversation() {
  return Json::parse(R"([
    {"role": "user", "content": "2 + 2?"},
    {"role": "assistant", "content": "", "tool_calls": [
      {"id": "call_abc", "type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": 2}}},
      {"id": "call_xyz", "type": "function", "function": {"name": "zero"}}]},
    {"role": "tool", "tool_call_id": "call_abc", "content": "4"}])");
}

const Json kTools =
    Json::parse(R"([{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}])");

TEST(ChatFamilyTest, TemplatesSayWhichFamilyTheyAreOf) {
  EXPECT_EQ(chat_family(kPhi4Mini).name, "phi-4-mini");
  EXPECT_EQ(chat_family("").name, "any");
  const fs::path folder = fs::path(KINGLET_SHARED_DIR) / "fixtures" / "templates";
  if (!fs::exists(folder)) GTEST_SKIP() << "no shared fixtures at " << folder;
  const std::map<std::string, std::string> expected = {
      {"HuggingFaceTB-SmolLM3-3B", "any"},
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes"},
      {"Qwen-Qwen2.5-7B-Instruct", "hermes"},
      {"Qwen-Qwen3-0.6B", "hermes"},
      {"google-gemma-2-2b-it", "any"},
      {"ibm-granite-granite-3.3-2B-Instruct", "granite-3"},
      {"meta-llama-Llama-3.2-3B-Instruct", "llama-3"},
      {"microsoft-Phi-3.5-mini-instruct", "any"},
      {"mistralai-Mistral-Nemo-Instruct-2407", "mistral"},
  };
  for (const auto& [name, family] : expected) {
    std::ifstream file(folder / (name + ".jinja"));
    ASSERT_TRUE(file) << name;
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(chat_family(text.str()).name, family) << name;
  }
}

TEST(ChatFamilyTest, AModelWithoutToolsIsToldHowToCall) {
  const ToolConversation written = for_family(chat_family(""), "", conversation(), kTools);
  EXPECT_TRUE(written.tools.is_null());
  ASSERT_EQ(written.messages.size(), 4u);
  EXPECT_EQ(written.messages[0]["role"], "system");
  EXPECT_NE(written.messages[0]["content"].get<std::string>().find("\"name\":\"add\""), std::string::npos);
  EXPECT_FALSE(written.messages[2].contains("tool_calls"));
  EXPECT_EQ(written.messages[2]["content"],
            "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":2,\"b\":2}}\n</tool_call>\n"
            "<tool_call>\n{\"name\": \"zero\", \"arguments\": {}}\n</tool_call>");
  EXPECT_EQ(written.messages[3], (Json{{"role", "user"}, {"content", "<tool_response>\n4\n</tool_response>"}}));
}

TEST(ChatFamilyTest, Phi4MiniTakesToolsInTheSystemMessage) {
  const ToolConversation written = for_family(chat_family(kPhi4Mini), kPhi4Mini, conversation(), kTools);
  EXPECT_EQ(written.messages[0]["tools"], R"([{"name":"add","parameters":{"type":"object"}}])");
  EXPECT_EQ(written.messages[2]["content"],
            "<|tool_call|>[{\"name\": \"add\", \"arguments\": {\"a\":2,\"b\":2}}, {\"name\": \"zero\", \"arguments\": "
            "{}}]<|/tool_call|>");
}

TEST(ChatFamilyTest, MistralsIdsAreShortAndStillBelongTogether) {
  constexpr char kTemplate[] = "[AVAILABLE_TOOLS][TOOL_CALLS] tool_calls";
  const ToolConversation written = for_family(chat_family(kTemplate), kTemplate, conversation(), kTools);
  EXPECT_EQ(written.tools, kTools);
  const std::string id = written.messages[1]["tool_calls"][0]["id"];
  EXPECT_EQ(id.size(), 9u);
  EXPECT_EQ(written.messages[2]["tool_call_id"], id);
  EXPECT_NE(written.messages[1]["tool_calls"][1]["id"], id);
  EXPECT_EQ(new_call_id(chat_family(kTemplate)).size(), 9u);
}

}  // namespace
}  // namespace kinglet::server
