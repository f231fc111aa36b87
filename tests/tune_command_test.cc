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
  void TearDown() override { unsetenv("KINGLET_HOME"); }
  void SetUp() override {
    setenv("KINGLET_HOME", folder_.file("home").c_str(), 1);
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

TEST_F(Tuned, DoraRunsAndMergesAsItWasTrained) {
  const Json figures = learn({"tune", model_, pairs_, "--method", "dora", "--steps", "30", "--out", out_});
  EXPECT_LT(figures["loss"].get<double>(), figures["first_loss"].get<double>() - 1) << figures.dump();
  EXPECT_NE(logits({}), logits({"--adapter", out_}));
  const auto config = read_json(out_ + "/adapter_config.json");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ((*config)["use_dora"], true);
  const Outcome merged = run({"merge", model_, out_, "--out", folder_.file("merged.gguf"), "--type", "f32", "--json"});
  ASSERT_EQ(merged.code, 0) << merged.err;
  EXPECT_LT((*parse_json(merged.out))["kl_mean"].get<double>(), 1e-3) << merged.out;
  // Beside another adapter its gains would scale what that one adds.
  EXPECT_EQ(run({"tune", model_, pairs_, "--plain", "--rank", "2", "--steps", "2", "--out", out_ + "2"}).code, 0);
  const Outcome both = run({"logits", model_, "--ids", "5,6", "--adapter", out_, "--adapter", out_ + "2"});
  EXPECT_NE(both.code, 0);
  EXPECT_NE(both.err.find("DoRA"), std::string::npos) << both.err;
  const Outcome gguf = run({"tune", model_, pairs_, "--method", "dora", "--gguf", "a.gguf", "--out", out_ + "3"});
  EXPECT_NE(gguf.err.find("magnitudes"), std::string::npos) << gguf.err;
}

// The teacher learned the answers; who learns from it alone comes to them too.
TEST_F(Tuned, ATeacherTeaches) {
  const std::vector<std::string> full{"--method", "full", "--steps", "30", "--lr", "3e-3"};
  std::vector<std::string> words{"tune", model_, pairs_, "--out", out_};
  words.insert(words.end(), full.begin(), full.end());
  words.insert(words.end(), {"--plain", "--json"});
  ASSERT_EQ(run(words).code, 0);
  std::vector<std::string> distilled{
      "tune", model_,       pairs_, "--out", out_ + "2", "--teacher", out_ + "/model.gguf", "--distill-alpha",
      "1",    "--held-out", pairs_};
  distilled.insert(distilled.end(), full.begin(), full.end());
  distilled.insert(distilled.end(), {"--plain", "--json"});
  const Outcome o = run(distilled);
  ASSERT_EQ(o.code, 0) << o.err;
  const auto figures = parse_json(o.out);
  ASSERT_TRUE(figures.ok());
  EXPECT_LT((*figures)["loss"].get<double>(), 0.5 * (*figures)["first_loss"].get<double>());
  EXPECT_LT((*figures)["held_out_loss"].get<double>(), 3.5);  // by labels; untrained it is above 5

  // Of several, the mean is learned: here of one that knows the answers and one that does not.
  std::vector<std::string> several = distilled;
  several[4] = out_ + "3";
  several.insert(several.end(), {"--teacher", model_});
  const Outcome mean = run(several);
  ASSERT_EQ(mean.code, 0) << mean.err;
  const auto of_mean = parse_json(mean.out);
  ASSERT_TRUE(of_mean.ok());
  EXPECT_GT((*of_mean)["held_out_loss"].get<double>(), (*figures)["held_out_loss"].get<double>());
  EXPECT_LT((*of_mean)["held_out_loss"].get<double>(), 5.5);
  const Outcome other = run({"tune", model_, pairs_, "--plain", "--out", out_ + "4", "--teacher", "./absent"});
  EXPECT_NE(other.code, 0);
}

TEST_F(Tuned, EveryWeightLearnsWhereTheMethodIsFull) {
  const Json figures = learn({"tune", model_, pairs_, "--method", "full", "--steps", "30", "--out", out_});
  EXPECT_LT(figures["loss"].get<double>(), figures["first_loss"].get<double>() - 1) << figures.dump();
  const Outcome after = run({"logits", out_ + "/model.gguf", "--ids", "5,6,7", "--json"});
  ASSERT_EQ(after.code, 0) << after.err;
  EXPECT_NE(after.out, logits({}));
}

TEST_F(Tuned, EveryMethodOfAlignPrefersWhatWasChosen) {
  for (const char* method : {"dpo", "ipo", "simpo", "orpo"}) {
    const Json figures =
        learn({"align", model_, preferences_, "--method", method, "--steps", "30", "--out", out_ + method});
    EXPECT_EQ(figures["training"]["accuracy"], 1.0) << method << ": " << figures.dump();
  }
}

// A run that is repeated takes the reference's log probabilities from a file, and has the same losses.
TEST_F(Tuned, TheReferenceIsAskedOnce) {
  const auto aligned = [&](const std::string& out) {
    return run({"align", model_, preferences_, "--plain", "--steps", "4", "--threads", "2", "--out", out});
  };
  const Outcome first = aligned(out_), second = aligned(out_ + "2");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.err.find("earlier run"), std::string::npos) << first.err;
  EXPECT_NE(second.err.find("16 log probabilities are those of an earlier run"), std::string::npos) << second.err;
  const auto weights = [](const std::string& out) { return *read_file(out + "/adapter_model.safetensors"); };
  EXPECT_EQ(weights(out_), weights(out_ + "2"));
}

TEST_F(Tuned, PlansAModelOf14ThousandMillionWeightsFromItsShape) {
  for (const char* command : {"tune", "align"}) {
    const Outcome o = run({command, "phi-4", "--plan", "--json", command == std::string("tune") ? "--method" : "--base",
                           "qlora", "--steps", "100", "--batch", "1", "--max-length", "512"});
    ASSERT_EQ(o.code, 0) << o.err;
    const auto plan = parse_json(o.out);
    ASSERT_TRUE(plan.ok()) << o.out;
    EXPECT_GT((*plan)["parameters"], 14.6e9);
    EXPECT_LT((*plan)["trained"], 0.01 * 14.6e9);
    EXPECT_NEAR((*plan)["bytes"]["weights"].get<double>(), 14.7e9 * 4.5 / 8, 0.5e9);
    EXPECT_EQ((*plan)["steps"], 100);
    EXPECT_GT((*plan)["hours"], 0);
  }
}

// Where all that backward reads would not fit, layers are computed twice; the numbers are the same.
TEST_F(Tuned, MemoryDecidesWhatIsKept) {
  const auto plan = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"tune", model_, pairs_, "--plain", "--plan", "--json", "--batch", "8"};
    words.insert(words.end(), more.begin(), more.end());
    const auto json = parse_json(run(words).out);
    return json.ok() ? *json : Json::object();
  };
  const auto peak = [&](const char* mode) -> uint64_t { return plan({"--checkpointing", mode})["bytes"]["peak"]; };
  const uint64_t kept = peak("none"), cheap = peak("activations"), repeated = peak("layers");
  ASSERT_LT(cheap, kept);
  ASSERT_LT(repeated, cheap);
  EXPECT_EQ(plan({})["checkpointing"], "none");
  EXPECT_EQ(plan({"--memory", std::to_string(kept - 1)})["checkpointing"], "activations");
  EXPECT_EQ(plan({"--memory", std::to_string(cheap - 1)})["checkpointing"], "layers");
  const Outcome refused =
      run({"tune", model_, pairs_, "--plain", "--memory", std::to_string(repeated - 1), "--out", out_});
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("memory limit"), std::string::npos) << refused.err;
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
