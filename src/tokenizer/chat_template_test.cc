#include "tokenizer/chat_template.h"

#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "formats/json.h"

namespace kinglet {
namespace {

namespace fs = std::filesystem;

/// 2026-01-15 12:00 of the local clock: when the fixtures were rendered.
int64_t fixture_now() {
  std::tm date{};
  date.tm_year = 2026 - 1900;
  date.tm_mon = 0;
  date.tm_mday = 15;
  date.tm_hour = 12;
  date.tm_isdst = -1;
  return std::mktime(&date);
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Output, or "error: " and its text.
std::string render(std::string_view source, const Json& variables = Json::object()) {
  const auto compiled = ChatTemplate::compile(source);
  if (!compiled.ok()) return "error: " + std::string(compiled.status().text());
  const auto text = compiled->render(variables, fixture_now());
  return text.ok() ? *text : "error: " + std::string(text.status().text());
}

TEST(ChatTemplate, KeepsTextAsItIs) { EXPECT_EQ(render("plain { text } %}\n"), "plain { text } %}"); }

/// Limits small enough for a test to run into.
TemplateLimits small_limits() {
  TemplateLimits limits;
  limits.max_steps = 200'000;
  limits.max_output_bytes = size_t{1} << 20;
  limits.max_memory_bytes = size_t{16} << 20;
  return limits;
}

TEST(ChatTemplate, HoldsItsLimits) {
  const std::string hostile[] = {
      "{{ 'a' * 1000000000 }}",
      "{{ [1] * 1000000000 }}",
      "{{ range(10 ** 12) }}",
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% for i in [[]] recursive %}{{ loop([[]]) }}{% endfor %}",
      "{% for i in range(100000) %}0123456789{% endfor %}",
      "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
      "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
      "{{ 'ab'.replace('', 'x' * 1000000) * 100 }}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '{:1000000000}'.format(1) }}",
      "{{ 'x'.center(1000000000) }}",
      "{{ 'x'|center(9000000000000000000) }}",
      "{{ 'a\nb'|indent(1000000000) }}",
      "{{ [1]|batch(1000000000, 0)|list }}",
      "{{ [1]|slice(1000000000)|list }}",
      "{{ [1]|tojson(indent=1000000000) }}",
      "{{ 9 ** 9 ** 9 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ -9223372036854775807 - 2 }}",
      "{{ " + std::string(1000, '(') + "1" + std::string(1000, ')') + " }}",
      "{{ " + std::string(10'000, '-') + "1 }}",
      "{{ x" + std::string(10'000, '[') + " }}",
      [] {
        std::string source;
        for (int i = 0; i < 1000; ++i) source += "{% if 1 %}";
        return source;
      }(),
      [] {
        std::string source = "{{ messages";
        for (int i = 0; i < 100'000; ++i) source += "|list";
        return source + " }}";
      }(),
  };
  for (const std::string& source : hostile) {
    SCOPED_TRACE(source.substr(0, 100));
    const auto compiled = ChatTemplate::compile(source, small_limits());
    if (!compiled.ok()) continue;
    const auto text = compiled->render({{"messages", Json::array({1})}}, 0);
    ASSERT_FALSE(text.ok());
    EXPECT_NE(text.status().code(), Code::internal) << text.status().text();
  }
}

TEST(ChatTemplate, SurvivesEveryTruncationAndManyMutations) {
  const std::string source =
      "{%- macro m(a, b=2) %}[{{ a }}{{ b|default('x')|upper }}]{% endmacro %}{# c #}{% set ns = namespace(n=0) %}"
      "{%- for m2 in messages[::-1] if m2.role != 'tool' recursive %}{% set ns.n = ns.n + loop.index0 % 2 %}"
      "{{ m(m2.content, b=m2['role']) ~ {'k': [1, 2.5, none]}|tojson(indent=2) }}{% else %}e{% endfor -%}"
      "{% raw %}{{ }}{% endraw %}{{ '%s-%d' % ('a', 3) if ns.n is defined and not ns.n is odd else \"b\\n\" }}"
      "{% call(x) m(1) %}{{ x }}{% endcall %}{% filter trim %} y {% endfilter %}{{ "
      "messages|map(attribute='role')|join(', ') }}";
  const Json variables =
      Json::parse(R"({"messages": [{"role": "user", "content": "h\u00fc"}, {"role": "tool", "content": null}]})");
  const auto try_out = [&](const std::string& text) {
    const auto compiled = ChatTemplate::compile(text, small_limits());
    if (!compiled.ok()) {
      EXPECT_NE(compiled.status().code(), Code::internal) << text;
      return;
    }
    const auto rendered = compiled->render(variables, 0);
    EXPECT_TRUE(rendered.ok() || rendered.status().code() != Code::internal) << text;
  };
  for (size_t size = 0; size <= source.size(); ++size) try_out(source.substr(0, size));
  static constexpr std::string_view kPieces[] = {"{{",   "}}",   "{%", "%}", "{#", "-", "|",      ".",    "(",
                                                 ")",    "[",    "]",  "'",  "\\", "0", "\xff",   " if ", " else ",
                                                 " is ", " in ", "**", "~",  ",",  "=", "endfor", "loop", "none"};
  uint32_t state = 1;
  const auto random = [&state](size_t below) {
    return static_cast<size_t>((state = state * 1664525 + 1013904223) >> 8) % below;
  };
  for (int i = 0; i < 3000; ++i) {
    std::string text = source;
    for (size_t edits = 1 + random(3); edits > 0; --edits) {
      const size_t at = random(text.size());
      text.replace(at, random(4), kPieces[random(std::size(kPieces))]);
    }
    try_out(text);
  }
}

TEST(ChatTemplate, NamesWhatItDoesNotKnowWithItsLine) {
  EXPECT_EQ(render("a\n{{ x|nosuch }}"), "error: line 2: No filter named 'nosuch'.");
  EXPECT_EQ(render("a\n\n{{ x is nosuch }}"), "error: line 3: No test named 'nosuch'.");
  EXPECT_EQ(render("{% include 'x' %}"),
            "error: line 1: the tag 'include' is outside the subset that chat templates use");
  EXPECT_EQ(render("{% nosuch %}"), "error: line 1: unknown tag 'nosuch'");
  EXPECT_EQ(ChatTemplate::compile("{{ x|nosuch }}").status().code(), Code::unsupported);
  EXPECT_EQ(ChatTemplate::compile("{% if %}").status().code(), Code::corrupt);
}

TEST(ChatTemplate, SeesTheClockItIsGiven) {
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y %H:%M') }} {{ strftime_now('%B %d, %Y') }}"),
            "15 Jan 2026 12:00 January 15, 2026");
}

TEST(ChatTemplate, PrintsIntegersBeyond64BitsAndRefusesToComputeWithThem) {
  const Json variables = {{"n", UINT64_MAX}};
  EXPECT_EQ(render("{{ n }} {{ [n]|tojson }} {{ n is integer }}", variables),
            "18446744073709551615 [18446744073709551615] True");
  EXPECT_TRUE(render("{{ n + 1 }}", variables).starts_with("error: line 1: OverflowError"));
}

// Published templates that are not among the shared fixtures; what jinja2 renders for them.

const Json& turns() {
  static const Json json =
      Json::parse(R"({"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true, "messages": [
    {"role": "system", "content": "Be terse."}, {"role": "user", "content": " Hi "}, {"role": "assistant", "content": "Yo"},
    {"role": "user", "content": "Bye"}]})");
  return json;
}

TEST(ChatTemplate, RendersPhi4) {
  EXPECT_EQ(
      render(
          "{% for message in messages %}{% if (message['role'] == 'system') %}{{'<|im_start|>system<|im_sep|>' + "
          "message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'user') %}{{'<|im_start|>user<|im_sep|>' + "
          "message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'assistant') "
          "%}{{'<|im_start|>assistant<|im_sep|>' + "
          "message['content'] + '<|im_end|>'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ "
          "'<|im_start|>assistant<|im_sep|>' }}{% endif %}",
          turns()),
      "<|im_start|>system<|im_sep|>Be terse.<|im_end|><|im_start|>user<|im_sep|> Hi "
      "<|im_end|><|im_start|>assistant<|im_sep|>Yo"
      "<|im_end|><|im_start|>user<|im_sep|>Bye<|im_end|><|im_start|>assistant<|im_sep|>");
}

TEST(ChatTemplate, RendersPhi3) {
  EXPECT_EQ(
      render("{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\\n' + "
             "message['content'] + '<|end|>' + '\\n' + '<|assistant|>' + '\\n'}}{% elif (message['role'] == "
             "'assistant') %}"
             "{{message['content'] + '<|end|>' + '\\n'}}{% endif %}{% endfor %}",
             turns()),
      "<s><|user|>\n Hi <|end|>\n<|assistant|>\nYo<|end|>\n<|user|>\nBye<|end|>\n<|assistant|>\n");
}

TEST(ChatTemplate, RendersGemma3) {
  const char* const source = R"({{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
)";
  EXPECT_EQ(render(source, turns()),
            "<s><start_of_turn>user\nBe "
            "terse.\n\nHi<end_of_turn>\n<start_of_turn>model\nYo<end_of_turn>\n<start_of_turn>user\nBye"
            "<end_of_turn>\n<start_of_turn>model\n");
  Json parts = turns();
  parts["messages"] =
      Json::parse(R"([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What? "}]}])");
  EXPECT_EQ(render(source, parts),
            "<s><start_of_turn>user\n<start_of_image>What?<end_of_turn>\n<start_of_turn>model\n");
  parts["messages"] = Json::parse(R"([{"role": "user", "content": null}])");
  EXPECT_TRUE(render(source, parts).ends_with("TemplateError: Invalid content type"));
}

TEST(ChatTemplate, RendersMistral7BInstruct) {
  const char* const source =
      "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ "
      "raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if "
      "message['role'] == "
      "'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ "
      "message['content'] + "
      "eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor "
      "%}";
  EXPECT_EQ(render(source, turns()),
            "error: line 1: TemplateError: Conversation roles must alternate user/assistant/user/assistant/...");
  Json without_system = turns();
  without_system["messages"].erase(0);
  EXPECT_EQ(render(source, without_system), "<s>[INST]  Hi  [/INST]Yo</s>[INST] Bye [/INST]");
}

TEST(ChatTemplate, RendersAndRefusesTheSharedFixtures) {
  const fs::path folder = fs::path(KINGLET_SHARED_DIR) / "fixtures" / "templates";
  if (!fs::exists(folder)) GTEST_SKIP() << "no shared fixtures at " << folder;
  int outputs = 0, refusals = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    const std::string source = slurp(fs::path(entry.path()).replace_extension(".jinja"));
    const auto compiled = ChatTemplate::compile(source);
    ASSERT_TRUE(compiled.ok()) << entry.path() << ": " << compiled.status().text();
    const Json cases = Json::parse(slurp(entry.path()));
    for (const auto& [name, test] : cases.items()) {
      SCOPED_TRACE(entry.path().filename().string() + " " + name);
      const auto text = compiled->render(test["input"], fixture_now());
      if (test.contains("error")) {
        ASSERT_FALSE(text.ok());
        EXPECT_EQ(text.status().code(), Code::invalid_argument);
        EXPECT_TRUE(text.status().text().starts_with("line ")) << text.status().text();
        EXPECT_TRUE(text.status().text().ends_with(": " + test["error"].get<std::string>())) << text.status().text();
        ++refusals;
      } else {
        ASSERT_TRUE(text.ok()) << text.status().text();
        EXPECT_EQ(*text, test["output"].get<std::string>());
        ++outputs;
      }
    }
  }
  EXPECT_GT(outputs, 0);
  EXPECT_GT(refusals, 0);
  RecordProperty("outputs", outputs);
  RecordProperty("refusals", refusals);
}

}  // namespace
}  // namespace kinglet
