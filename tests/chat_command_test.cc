// `kinglet run` and `kinglet chat` as a user's shell sees them, on a tiny model.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "formats/json.h"
#include "host/file.h"
#include "host/testing.h"
#include "run_program.h"
#include "tiny_fixture.h"

namespace kinglet {
namespace {

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kFixture)) GTEST_SKIP() << "shared fixture is absent: " << kFixture;
    write_fixture_with_bytes(model());
  }
  std::string model() const { return folder_.file("model"); }

  /// Runs `kinglet words`, with `input` for its standard input.
  Outcome kinglet(const std::string& words, const std::string& input = "") const {
    EXPECT_TRUE(write_file(folder_.file("in"), input).ok());
    const std::string command = "KINGLET_HOME='" + folder_.file("home") + "' '" KINGLET_PROGRAM "' " + words + " < '" +
                                folder_.file("in") + "' > '" + folder_.file("out") + "' 2> '" + folder_.file("err") +
                                "'";
    Outcome outcome;
    const int status = std::system(command.c_str());  // NOLINT(cert-env33-c): a test's own words
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.out = *read_file(folder_.file("out"));
    outcome.err = *read_file(folder_.file("err"));
    return outcome;
  }
  Json json(const std::string& text) const {
    const auto parsed = parse_json(text);
    EXPECT_TRUE(parsed.ok()) << text;
    return parsed.ok() ? *parsed : Json::object();
  }
  TempFolder folder_;
};

TEST_F(Commands, RunAnswersByTheTemplateAndReproduces) {
  const auto first = kinglet("run " + model() + " Hi --seed 5 --temperature 2 -n 12 --json --threads 1");
  ASSERT_EQ(first.code, 0) << first.err;
  const Json answer = json(first.out);
  EXPECT_EQ(answer["prompt_tokens"], 4 + 1 + 1 + 2 + 1 + 1 + 1 + 9 + 1);  // "user" LF Hi LF "assistant" LF, 3 special
  EXPECT_EQ(answer["seed"], 5);
  EXPECT_LE(answer["answer_tokens"], 12);
  const auto plain = kinglet("run " + model() + " - --seed 5 --temperature 2 -n 12 --quiet -t 2", "Hi");
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_EQ(plain.err, "");
  EXPECT_EQ(plain.out.substr(0, answer["text"].get<std::string>().size()), answer["text"].get<std::string>());
}

TEST_F(Commands, RunTakesItsPromptFromWhereItIsTold) {
  ASSERT_TRUE(write_file(folder_.file("prompt"), "Hi").ok());
  const std::string words = " --raw --temperature 0 -n 4 --json -t 1 ";
  const Json from_word = json(kinglet("run " + model() + words + "Hi").out);
  const Json from_file = json(kinglet("run " + model() + words + "--file " + folder_.file("prompt")).out);
  const Json from_input = json(kinglet("run " + model() + words, "Hi").out);
  EXPECT_EQ(from_word["prompt_tokens"], 2);
  EXPECT_EQ(from_word["text"], from_file["text"]);
  EXPECT_EQ(from_word["text"], from_input["text"]);
  EXPECT_EQ(kinglet("run " + model() + " Hi --file " + folder_.file("prompt")).code, 2);
}

TEST_F(Commands, SpecialTokensInAPromptAreTextUnlessAskedFor) {
  const std::string words = "run " + model() + " '<|im_end|>' --raw -n 1 --json -t 1";
  EXPECT_EQ(json(kinglet(words).out)["prompt_tokens"], 10);
  EXPECT_EQ(json(kinglet(words + " --special").out)["prompt_tokens"], 1);
}

TEST_F(Commands, AFullContextIsSaid) {
  const auto full = kinglet("run " + model() + " Hi --raw --ctx 8 -n 0 --logit-bias 2=-inf -t 1");
  EXPECT_EQ(full.code, 0) << full.err;
  EXPECT_NE(full.err.find("the context of 8 tokens is full"), std::string::npos) << full.err;
  const auto refused = kinglet("run " + model() + " 'longer than eight' --raw --ctx 8 -t 1");
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("does not fit into the context of 8"), std::string::npos) << refused.err;
}

TEST_F(Commands, OptionsThatMakeNoSenseAreRefused) {
  for (const char* words : {"--temperature -1", "--top-p 0", "--logit-bias x", "--logit-bias 3", "--logit-bias 3=many",
                            "--logit-bias 3=1x", "--logit-bias 99999=1", "--kv-type q4_0", "--ctx 0", "--special"}) {
    const auto refused = kinglet("run " + model() + " Hi -t 1 " + words);
    EXPECT_EQ(refused.code, 2) << words << ": " << refused.err;
    EXPECT_FALSE(refused.err.empty()) << words;
    EXPECT_EQ(refused.out, "") << words;
  }
}

TEST_F(Commands, ChatTalksSavesAndLoads) {
  const std::string words = "chat " + model() + " --seed 3 -n 6 -t 1 --json";
  const std::string file = folder_.file("talk");
  const auto first = kinglet(words, "Hi\n/save " + file + "\nMore\n");
  ASSERT_EQ(first.code, 0) << first.err;
  const auto second = kinglet(words, "/load " + file + "\nMore\n/stats\n");
  ASSERT_EQ(second.code, 0) << second.err;
  const std::string more = first.out.substr(first.out.find('\n') + 1);
  EXPECT_EQ(json(more)["text"], json(second.out)["text"]);
  EXPECT_NE(second.err.find("4 messages"), std::string::npos) << second.err;
}

TEST_F(Commands, ChatCommandsSayWhatIsWrong) {
  const auto unknown = kinglet("chat " + model() + " -t 1", "/nothing\n");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("/nothing"), std::string::npos) << unknown.err;
  const auto missing = kinglet("chat " + model() + " -t 1", "/load " + folder_.file("absent") + "\n");
  EXPECT_EQ(missing.code, 66) << missing.err;
  EXPECT_EQ(kinglet("chat " + model() + " -t 1", "/exit\nnot read\n").code, 0);
}

TEST_F(Commands, ChatWithoutATemplateSaysWhatToDo) {
  std::filesystem::remove(std::filesystem::path(model()) / "tokenizer_config.json");
  const auto refused = kinglet("chat " + model() + " -t 1", "Hi\n");
  EXPECT_EQ(refused.code, 66);
  EXPECT_NE(refused.err.find("--template FILE"), std::string::npos) << refused.err;
  ASSERT_TRUE(write_file(folder_.file("t.jinja"), "{{ messages[0].content }}").ok());
  EXPECT_EQ(kinglet("chat " + model() + " -t 1 -n 2 --template " + folder_.file("t.jinja"), "Hi\n").code, 0);
}

}  // namespace
}  // namespace kinglet
