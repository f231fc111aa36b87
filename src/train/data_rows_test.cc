// Rows in every form, and rows that are none.
#include "train/data_rows.h"

#include <gtest/gtest.h>

#include "host/testing.h"

namespace kinglet::train {
namespace {

template <typename T>
T parsed(const char* text) {
  auto row = parse_row(Json::parse(text));
  EXPECT_TRUE(row.ok()) << text << ": " << row.status().text();
  if (!row.ok() || !std::holds_alternative<T>(*row)) {
    ADD_FAILURE() << text;
    return {};
  }
  return std::get<T>(*std::move(row));
}

TEST(DataRows, EachFormIsKnownByItsKeys) {
  EXPECT_EQ(parsed<TextRow>(R"({"text": "Once"})").text, "Once");
  const auto chat = parsed<ChatRow>(R"({"messages": [{"role": "user", "content": "a"}], "tools": [{"name": "f"}]})");
  EXPECT_EQ(chat.messages.size(), 1U);
  EXPECT_EQ(chat.tools.size(), 1U);
  const auto plain = parsed<PromptRow>(R"({"prompt": "a", "completion": "b"})");
  EXPECT_EQ(plain.prompt, "a");
  EXPECT_EQ(plain.completion, "b");
  EXPECT_FALSE(plain.label);
  const auto pair = parsed<PromptRow>(R"({"prompt": "a", "chosen": "b", "rejected": "c"})");
  EXPECT_TRUE(pair.completion.is_null());
  EXPECT_EQ(pair.rejected, "c");
  EXPECT_EQ(parsed<PromptRow>(R"({"prompt": "a", "completion": "b", "label": false})").label, false);
  EXPECT_EQ(parsed<PromptRow>(R"({"prompt": "a", "completion": "b", "label": 1})").label, true);
}

TEST(DataRows, AlpacaAndShareGptBecomeTheSame) {
  const auto alpaca = parsed<PromptRow>(R"({"instruction": "Add.", "input": "1 2", "output": "3"})");
  EXPECT_EQ(alpaca.prompt, "Add.\n1 2");
  EXPECT_EQ(alpaca.completion, "3");
  EXPECT_EQ(parsed<PromptRow>(R"({"instruction": "Add.", "input": "", "output": "3"})").prompt, "Add.");
  const auto system = parsed<PromptRow>(R"({"instruction": "Add.", "output": "3", "system": "Be brief."})");
  EXPECT_EQ(system.prompt[0]["role"], "system");
  const auto shared = parsed<ChatRow>(
      R"({"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})");
  EXPECT_EQ(shared.messages, Json::parse(R"([{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
                                             {"role": "assistant", "content": "b"}])"));
}

TEST(DataRows, APreferenceMayHaveItsPromptInBothAnswers) {
  const auto row = parsed<PromptRow>(R"({
    "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}]})");
  EXPECT_EQ(row.prompt.size(), 1U);
  EXPECT_EQ(row.chosen[0]["content"], "b");
  EXPECT_EQ(row.rejected[0]["content"], "c");
}

TEST(DataRows, IdsKeepWhatTheMaskLeaves) {
  const auto row =
      parsed<IdsRow>(R"({"input_ids": [1, 2, 3], "labels": [-100, 2, -100], "attention_mask": [1, 1, 0]})");
  EXPECT_EQ(row.ids, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(row.labels, (std::vector<int32_t>{-100, 2}));
  EXPECT_EQ(parsed<IdsRow>(R"({"input_ids": [5, 6]})").labels, (std::vector<int32_t>{5, 6}));
}

TEST(DataRows, MalformedOnesSayWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([1])", "not a JSON object"},
      {R"({"txt": "a"})", "none of the keys"},
      {R"({"text": 1})", "\"text\""},
      {R"({"text": null})", "none of the keys"},
      {R"({"messages": "hi"})", "\"messages\""},
      {R"({"messages": []})", "\"messages\""},
      {R"({"messages": [{"role": "user"}]})", "message 1 has no \"content\""},
      {R"({"messages": [{"role": "user", "content": "a"}, 1]})", "message 2"},
      {R"({"messages": [{"content": "a"}]})", "role"},
      {R"({"messages": [{"role": "user", "content": "a"}], "tools": 3})", "tools"},
      {R"({"messages": [{"role": "user", "content": "a"}], "tools": "{"})", ""},
      {R"({"conversations": [{"from": "martian", "value": "a"}]})", "martian"},
      {R"({"conversations": [{"role": "user"}]})", "turn 1"},
      {R"({"prompt": "a"})", "completion"},
      {R"({"prompt": "a", "completion": [{"role": "assistant", "content": "b"}]})", "text"},
      {R"({"prompt": "a", "completion": "b", "label": "yes"})", "label"},
      {R"({"prompt": "a", "completion": "b", "label": 2})", "label"},
      {R"({"prompt": "a", "chosen": "b"})", "rejected"},
      {R"({"chosen": "b", "rejected": "c"})", "prompt"},
      {R"({"instruction": "a"})", "output"},
      {R"({"instruction": "a", "output": "b", "input": 7})", "input"},
      {R"({"input_ids": []})", "input_ids"},
      {R"({"input_ids": [1.5]})", "1.5"},
      {R"({"input_ids": ["1"]})", "input_ids"},
      {R"({"input_ids": [99999999999]})", "99999999999"},
      {R"({"input_ids": [18446744073709551615]})", "18446744073709551615"},
      {R"({"input_ids": [1, 2], "labels": [1]})", "2 input_ids and 1 labels"},
      {R"({"input_ids": [1, 2], "attention_mask": [0, 0]})", "hides every token"},
      {R"({"input_ids": [1, 2], "attention_mask": [1, 7]})", "7"},
  };
  for (const auto& [text, reason] : cases) {
    const auto row = parse_row(Json::parse(text));
    ASSERT_FALSE(row.ok()) << text;
    EXPECT_EQ(row.status().code(), Code::corrupt) << text;
    EXPECT_NE(row.status().text().find(reason), std::string_view::npos) << text << ": " << row.status().text();
  }
}

class DataFiles : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) {
    EXPECT_TRUE(write_file(folder_.file(name), bytes).ok());
    return folder_.file(name);
  }
  TempFolder folder_;
};

TEST_F(DataFiles, OneAfterAnotherEachInItsForm) {
  RowProblems problems;
  RowReader reader({write("a.jsonl", "{\"text\": \"one\"}\n\n{\"text\": \"two\"}"), write("b.tsv", "p\tc\np\tx\ty\n"),
                    write("c.json", "\n[{\"text\": \"three\"}, {\"text\": \"four\"}]"), write("d.txt", "all\nof it\n")},
                   problems);
  std::vector<std::string> places;
  for (;;) {
    const auto row = reader.next();
    ASSERT_TRUE(row.ok()) << row.status().text();
    if (!*row) break;
    places.push_back((*row)->place().substr(folder_.path().size() + 1));
  }
  EXPECT_EQ(problems.count(), 0);
  EXPECT_EQ(places, (std::vector<std::string>{"a.jsonl:1", "a.jsonl:3", "b.tsv:1", "b.tsv:2", "c.json:1", "c.json:2",
                                              "d.txt"}));
}

TEST_F(DataFiles, BadLinesAreCountedWithTheirPlaceAndTheRestIsRead) {
  const std::string path =
      write("a.jsonl", "{\"text\": \"one\"}\n{\"text\": \nnull\n{\"text\": \"two\"}\n{\"text\": 1} x\n");
  RowProblems problems;
  RowReader reader({path}, problems);
  int rows = 0;
  while (*reader.next()) ++rows;
  EXPECT_EQ(rows, 2);
  EXPECT_EQ(problems.count(), 3);
  EXPECT_TRUE(problems.first()[0].starts_with(path + ":2: column ")) << problems.first()[0];
  EXPECT_EQ(problems.first()[1], path + ":3: not a JSON object");
}

TEST_F(DataFiles, StrictStopsAtTheFirst) {
  RowProblems problems(true);
  RowReader reader({write("a.jsonl", "{\"text\": \"one\"}\nnot json\n")}, problems);
  ASSERT_TRUE(reader.next().ok());
  const auto row = reader.next();
  ASSERT_FALSE(row.ok());
  EXPECT_NE(row.status().text().find("a.jsonl:2"), std::string_view::npos) << row.status().text();
}

TEST_F(DataFiles, AFileThatIsNotThereIsAnError) {
  RowProblems problems;
  EXPECT_EQ(RowReader({folder_.file("none.jsonl")}, problems).next().status().code(), Code::not_found);
  EXPECT_EQ(RowReader({folder_.file("none.txt")}, problems).next().status().code(), Code::not_found);
}

}  // namespace
}  // namespace kinglet::train
