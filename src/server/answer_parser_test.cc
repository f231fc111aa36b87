#include "server/answer_parser.h"

#include <gtest/gtest.h>

#include "server/testing.h"

namespace kinglet::server {
namespace {

/// What an answer says, as one text: content, <think: ...>, <call name arguments>.
std::string parts_of(AnswerParser parser, std::string_view text, size_t step) {
  std::vector<AnswerPart> all;
  const auto add = [&](std::vector<AnswerPart> parts) {
    for (AnswerPart& part : parts) {
      const bool goes_on = !all.empty() && all.back().kind == part.kind && part.kind != AnswerPart::Kind::call;
      if (goes_on) all.back().text += part.text;
      else all.push_back(std::move(part));
    }
  };
  for (size_t at = 0; at < text.size(); at += step) add(parser.push(text.substr(at, step)));
  add(parser.finish());
  std::string out;
  for (const AnswerPart& part : all) {
    if (part.kind == AnswerPart::Kind::content) out += part.text;
    if (part.kind == AnswerPart::Kind::reasoning) out += "<think: " + part.text + ">";
    if (part.kind == AnswerPart::Kind::call) out += "<call " + part.text + " ";
    if (part.kind == AnswerPart::Kind::arguments) out += part.text + ">";
  }
  return out;
}

struct Case {
  const char* family;
  const char* text;
  const char* parts;
};

const Case kCases[] = {
    {"hermes", "Hello.\n", "Hello.\n"},
    {"hermes", " a <tool", " a <tool"},
    {"hermes", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"}\\\"{\", \"y\": [1, {}]}}\n</tool_call>",
     "<call f {\"x\": \"}\\\"{\", \"y\": [1, {}]}>"},
    {"hermes",
     "Let me see.\n\n<tool_call>\n{\"arguments\": {}, \"name\": "
     "\"g\"}\n</tool_call>\n<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1} "
     "}</tool_call>\n",
     "Let me see.<call g {}><call f {\"a\":1}>"},
    {"hermes", "<think>\nHm.\n\n</think>\n\nYes.", "<think: Hm.>Yes."},
    {"hermes", "<think>\n\n</think>\n\n<tool_call>{\"name\": \"f\"}</tool_call>", "<call f {}>"},
    {"hermes", "<think>cut sho", "<think: cut sho>"},
    {"hermes", "<thinker> is a word", "<thinker> is a word"},
    // What names no function, or is no JSON, was text.
    {"hermes", "<tool_call>\n{\"name\": \"nobody\", \"arguments\": {}}",
     "<tool_call>\n{\"name\": \"nobody\", \"arguments\": {}}"},
    {"hermes", "x <tool_call> is a tag", "x <tool_call> is a tag"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1", "<call f {\"x\": 1>"},
    {"hermes", "<tool_call>{\"na", "<tool_call>{\"na"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"x\\\": 2}\"}</tool_call>", "<call f {\"x\": 2}>"},
    {"mistral",
     "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"x\": 1}, \"id\": \"123456789\"}, {\"name\": \"g\", "
     "\"arguments\": {}}]",
     "<call f {\"x\": 1}><call g {}>"},
    {"mistral", "[1, 2]", "[1, 2]"},
    {"phi-4-mini", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]<|/tool_call|>", "<call f {}>"},
    {"phi-4-mini", "functools[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]", "<call f {\"x\": 1}>"},
    {"granite-3", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]", "<call f {\"x\": 1}>"},
    {"granite-3", "<think>Hm.</think>\n<response>Yes.</response>", "<think: Hm.>Yes."},
    {"granite-3.2", "Here is my thought process:\n\nHm.\n\nHere is my response:\n\nYes.", "<think: Hm.>Yes."},
    {"granite-3.2", "<tool_call>[{\"name\": \"f\", \"arguments\": {}}]", "<call f {}>"},
    {"llama-3", "{\"name\": \"f\", \"parameters\": {\"x\": 1}}", "<call f {\"x\": 1}>"},
    {"llama-3", "{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}",
     "<call f {}><call g {}>"},
    {"llama-3", "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"x\": 1}}", "<call f {\"x\": 1}>"},
    {"llama-3", "{\"answer\": 42}", "{\"answer\": 42}"},
    {"llama-3", "It is {\"name\": \"f\", \"parameters\": {}}", "It is {\"name\": \"f\", \"parameters\": {}}"},
};

TEST(AnswerParserTest, PartsTheAnswersOfEachFamilyHoweverTheyCome) {
  for (const Case& c : kCases) {
    const AnswerParser parser({.family = &family_named(c.family), .tools = {"f", "g"}});
    for (const size_t step : {1, 2, 3, 7, 1000})
      EXPECT_EQ(parts_of(parser, c.text, step), c.parts) << c.text << " by " << step;
  }
}

TEST(AnswerParserTest, WithoutToolsCallsAreText) {
  const char* const text = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call> \n";
  EXPECT_EQ(parts_of(AnswerParser({.family = &family_named("hermes")}), text, 5), text);
}

TEST(AnswerParserTest, APromptMayEndInsideTheThinking) {
  EXPECT_EQ(parts_of(AnswerParser({.family = &family_named("hermes"), .thinking = true}), "\nHm.\n</think>\n\nYes.", 4),
            "<think: Hm.>Yes.");
}

TEST(AnswerParserTest, ArgumentsComeAsTheyAreWritten) {
  AnswerParser parser({.family = &family_named("hermes"), .tools = {"f"}});
  const auto head = parser.push("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x");
  ASSERT_EQ(head.size(), 2u);
  EXPECT_EQ(head[0].text, "f");
  EXPECT_EQ(head[1].text, "{\"x");
  const auto rest = parser.push("\": 1");
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].text, "\": 1");
}

}  // namespace
}  // namespace kinglet::server
