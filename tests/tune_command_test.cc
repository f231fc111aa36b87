// kinglet tune and align as a user runs them, on a model of two layers.
#include <filesystem>

#include "formats/json.h"
#include "host/file.h"
#include "host/testing.h"
#include "run_program.h"
#include "tiny_model.h"
#include "train/log.h"

namespace kinglet {
namespace {

class Tuned : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_gguf(model_);
    std::string pairs, preferences;
    for (int i = 0; i < 8; ++i) {
      const std::string prompt = std::string("Say ") + static_cast<char>('a' + i) + ": ";
      pairs += Json{{"prompt", prompt}, {"completion", "yes"}}.dump() + "\n";
      preferences += Json{{"prompt", prompt}, {"chosen", "yes"}, {"rejected", "no!"}}.dump() + "\n";
    }
    ASSERT_TRUE(write_file(pairs_, pairs).ok());
    ASSERT_TRUE(write_file(preferences_, preferences).ok());
  }

  Json learn(std::vector<std::string> words) {
    for (const char* word : {"--plain", "--json", "--threads", "2", "--rank", "4", "--lr", "1e-2"})
      words.emplace_back(word);
    const Outcome outcome = run(std::move(words));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const auto json = parse_json(outcome.out);
    EXPECT_TRUE(json.ok()) << outcome.out;
    return json.ok() ? *json : Json::object();
  }
  std::string logits(std::vector<std::string> more) const {
    std::vector<std::string> words{"logits", model_, "--ids", "5,6,7", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  }

  TempFolder folder_;
  std::string model_ = folder_.file("tiny.gguf"), pairs_ = folder_.file("pairs.jsonl"),
              preferences_ = folder_.file("preferences.jsonl"), out_ = folder_.file("adapter");
};

TEST_F(Tuned, AnAdapterLearnsTheAnswersAndRunsWithItsModel) {
  for (const char* method : {"lora", "qlora"}) {
    const std::string out = out_ + method;
    const Json figures = learn({"tune", model_, pairs_, "--method", method, "--steps", "30", "--out", out});
    EXPECT_LT(figures["loss"].get<double>(), figures["first_loss"].get<double>() - 1) << figures.dump();
    EXPECT_NE(logits({}), logits({"--adapter", out}));
    EXPECT_EQ(logits({}), logits({"--adapter", out + "=0"}));
  }
}

TEST_F(Tuned, EveryMethodOfAlignPrefersWhatWasChosen) {
  for (const char* method : {"dpo", "ipo", "simpo", "orpo"}) {
    const Json figures =
        learn({"align", model_, preferences_, "--method", method, "--steps", "30", "--out", out_ + method});
    EXPECT_EQ(figures["training"]["accuracy"], 1.0) << method << ": " << figures.dump();
  }
}

TEST_F(Tuned, SaysWhatIsWrongWithRowsAndWords) {
  ASSERT_TRUE(write_file(pairs_, "{\"prompt\":1}\n").ok());
  const Outcome malformed = run({"tune", model_, pairs_, "--plain", "--out", out_});
  EXPECT_NE(malformed.code, 0);
  EXPECT_NE(malformed.err.find("pairs.jsonl:1"), std::string::npos) << malformed.err;
  const Outcome target = run({"tune", model_, preferences_, "--plain", "--target", "nothing", "--out", out_});
  EXPECT_NE(target.code, 0);
  EXPECT_NE(target.err.find("nothing"), std::string::npos) << target.err;
  EXPECT_FALSE(std::filesystem::exists(out_ + "/adapter_model.safetensors"));
}

}  // namespace
}  // namespace kinglet
