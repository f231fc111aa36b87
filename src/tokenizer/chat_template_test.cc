#include "tokenizer/chat_template.h"

#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

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
