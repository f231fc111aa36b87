// kinglet train as a user runs it: transformers' losses to the fourth digit, resuming after a kill, a full disk, bad words.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "host/file.h"
#include "host/testing.h"
#include "run_program.h"
#include "tiny_model.h"
#include "train/log.h"

namespace kinglet {
namespace {

const std::string kFixtures = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/";

std::vector<double> losses_of(const std::string& log) {
  std::vector<double> out;
  const auto lines = train::read_log(log);
  EXPECT_TRUE(lines.ok());
  if (lines.ok())
    for (const Json& line : *lines) out.push_back(line["loss"].get<double>());
  return out;
}

/// The golden batch as rows of ids and labels.
std::string rows_of(const safetensors::Tensor& ids) {
  std::string text;
  for (int64_t row = 0; row < ids.shape[0]; ++row) {
    Json list = Json::array();
    for (int64_t t = 0; t < ids.shape[1]; ++t) {
      int64_t id = 0;
      std::memcpy(&id, ids.data.data() + (row * ids.shape[1] + t) * 8, 8);
      list.push_back(id);
    }
    text += Json{{"input_ids", list}, {"labels", list}}.dump() + "\n";
  }
  return text;
}

class TrainFixture : public testing::TestWithParam<std::string> {};

TEST_P(TrainFixture, FiveStepsHaveTransformersLosses) {
  const std::string model = kFixtures + GetParam();
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "shared fixture is absent: " << model;
  const auto golden = safetensors::File::open(model + "/golden.safetensors");
  ASSERT_TRUE(golden.ok());
  const TempFolder folder;
  ASSERT_TRUE(write_file(folder.file("ids.jsonl"), rows_of(*golden->find("input_ids"))).ok());
  const auto* wanted = golden->find("adamw_losses");
  for (const bool packed : {true, false}) {
    std::vector<std::string> words{"train",
                                   model,
                                   "--data",
                                   folder.file("ids.jsonl"),
                                   "--batch",
                                   "2",
                                   "--steps",
                                   "5",
                                   "--lr",
                                   "1e-3",
                                   "--schedule",
                                   "constant",
                                   "--betas",
                                   "0.9,0.95",
                                   "--weight-decay",
                                   "0.1",
                                   "--decay-all",
                                   "--clip",
                                   "1.0",
                                   "--no-shuffle",
                                   "--log",
                                   folder.file("losses.jsonl"),
                                   "--out",
                                   folder.file("out")};
    if (!packed) words.emplace_back("--no-pack");
    const Outcome o = run(words);
    ASSERT_EQ(o.code, 0) << o.err;
    const std::vector<double> losses = losses_of(folder.file("losses.jsonl"));
    ASSERT_EQ(static_cast<int64_t>(losses.size()), *wanted->shape.count());
    for (size_t i = 0; i < losses.size(); ++i) {
      float want = 0;
      std::memcpy(&want, wanted->data.data() + 4 * i, 4);
      EXPECT_NEAR(losses[i], want, 1e-4) << "step " << i;
    }
  }
  // What was written runs, and a run goes on from it.
  EXPECT_EQ(run({"logits", folder.file("out"), "--ids", "1,2,3", "--threads", "1"}).code, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, TrainFixture,
                         testing::Values("llama-3.2", "mistral-7b-v0.1", "phi-3-mini-4k", "phi-3-mini-128k", "phi-4",
                                         "phi-4-mini", "granite-3.2", "gemma-3", "qwen2.5", "qwen3"),
                         [](const auto& param_info) {
                           std::string name = param_info.param;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
                           return name;
                         });

class TrainCommand : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_folder(folder_.file("model"));
    std::string rows, text;
    for (int i = 0; i < 12; ++i) {
      Json ids = Json::array();
      for (int t = 0; t < 3 + i % 4; ++t) ids.push_back((7 * i + t * t) % 200);
      rows += Json{{"input_ids", ids}}.dump() + "\n";
    }
    ASSERT_TRUE(write_file(folder_.file("ids.jsonl"), rows).ok());
  }
  std::vector<std::string> words(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"train",     folder_.file("model"),
                                 "--data",    folder_.file("ids.jsonl"),
                                 "--steps",   "6",
                                 "--batch",   "3",
                                 "--lr",      "1e-3",
                                 "--threads", "1",
                                 "--out",     folder_.file(out)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string weights(const std::string& out) const {
    return read_file(folder_.file(out + "/model.safetensors")).value();
  }
  TempFolder folder_;
};

TEST_F(TrainCommand, WritesAModelItsSettingsAndAReport) {
  const Outcome o = run(
      words("out", {"--held-out-share", "0.3", "--tensorboard", folder_.file("tb"), "--gguf", folder_.file("out.gguf"),
                    "--tokenizer", KINGLET_TEST_DATA "/byte_tokenizer", "--set", "vocab_size=320"}));
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.out.find("held out"), std::string::npos);
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json", "settings.toml", "report.html",
                           "log.jsonl", "checkpoint.safetensors"})
    EXPECT_TRUE(is_file(folder_.file(std::string("out/") + name))) << name;
  EXPECT_TRUE(is_file(folder_.file("out.gguf")));
  EXPECT_FALSE(std::filesystem::is_empty(folder_.file("tb")));
  // The settings make the same run again, but for the words that say otherwise.
  const Outcome again = run({"train", "--config", folder_.file("out/settings.toml"), "--out", folder_.file("again")});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(weights("again"), weights("out"));
}

TEST_F(TrainCommand, ThreadsDoNotChangeABit) {
  ASSERT_EQ(run(words("one")).code, 0);
  ASSERT_EQ(run(words("three", {"-t", "3"})).code, 2);  // given twice
  auto three = words("three");
  std::replace(three.begin(), three.end(), std::string("1"), std::string("3"));
  ASSERT_EQ(run(three).code, 0);
  EXPECT_EQ(weights("three"), weights("one"));
}

TEST_F(TrainCommand, PlansWithoutTraining) {
  const Outcome o = run(words("out", {"--plan", "--json"}));
  ASSERT_EQ(o.code, 0) << o.err;
  const auto plan = parse_json(o.out);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ((*plan)["steps"], 6);
  EXPECT_GT((*plan)["bytes"]["peak"], 0);
  EXPECT_GT((*plan)["hours"], 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.file("out")));
}

// 1.2 thousand million weights, of which none is made.
TEST_F(TrainCommand, PlansAPublishedShapeWithoutWeightsOrData) {
  const Outcome o = run({"train", "llama-3.2-1b", "--plan", "--json", "--steps", "10", "--checkpointing", "layers"});
  ASSERT_EQ(o.code, 0) << o.err;
  const auto plan = parse_json(o.out);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ((*plan)["parameters"], 1235814400);
  EXPECT_EQ((*plan)["trained"], 1235814400);
  EXPECT_EQ((*plan)["bytes"]["optimizer"], 2 * 4 * 1235814400ull);
  EXPECT_EQ((*plan)["tokens_per_step"], 8 * 512);
  const Outcome refused = run({"train", "llama-3.2-1b", "--plan", "--memory", "4G"});
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("memory limit of 4.0 GB"), std::string::npos) << refused.err;
}

TEST_F(TrainCommand, BadWordsAreOneLine) {
  ASSERT_TRUE(
      write_file(folder_.file("bad.jsonl"), "{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": [1, 999999]}\nnot json\n")
          .ok());
  const auto bad = [&](std::vector<std::string> more) { return words("bad", std::move(more)); };
  const std::string data = folder_.file("bad.jsonl");
  for (const auto& w :
       {std::vector<std::string>{"train", folder_.file("absent"), "--data", data, "--out", folder_.file("bad")},
        std::vector<std::string>{"train", folder_.file("model"), "--out", folder_.file("bad")},
        std::vector<std::string>{"train", folder_.file("model"), "--data", data, "--strict", "--out",
                                 folder_.file("bad")},
        std::vector<std::string>{"train", folder_.file("model"), "--data", data}, bad({"--resume"}),
        bad({"--warmup", "7"}), bad({"--config", data})}) {
    const Outcome o = run(w);
    EXPECT_GT(o.code, 0) << fmt::format("{}", fmt::join(w, " "));
    EXPECT_EQ(o.err.find('\n'), o.err.size() - 1) << o.err;
  }
  const Outcome counted =
      run({"train", folder_.file("model"), "--data", data, "--steps", "2", "--out", folder_.file("counted")});
  EXPECT_EQ(counted.code, 0);
  EXPECT_NE(counted.err.find("2 malformed rows"), std::string::npos) << counted.err;
  EXPECT_NE(counted.err.find("bad.jsonl:2"), std::string::npos) << counted.err;
}

#ifndef _WIN32
int exit_code_of(const std::string& script) {
  const int status =
      std::system(("{ " + script + "; } > /dev/null 2>&1").c_str());  // NOLINT(cert-env33-c): a test's own words
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(TrainCommand, ResumesAfterAKillBitForBit) {
  const auto sixty = [&](const std::string& out, std::vector<std::string> more) {
    more.insert(more.end(), {"--checkpoint-every", "2", "--dropout", "0.1"});
    auto w = words(out, std::move(more));
    std::replace(w.begin(), w.end(), std::string("6"), std::string("60"));
    return w;
  };
  ASSERT_EQ(run(sixty("whole", {})).code, 0);
  // Killed once its log has three lines: it is somewhere between two checkpoints.
  const std::string command = fmt::format("{} {}", KINGLET_PROGRAM, fmt::join(sixty("killed", {}), " "));
  const std::string log = folder_.file("killed/log.jsonl");
  const std::string script = fmt::format(
      "{} & pid=$!; while [ $(wc -l < {} 2> /dev/null || echo 0) -lt 3 ] && kill -0 $pid; do :; done; kill -9 $pid; "
      "wait $pid",
      command, log);
  (void)exit_code_of(script);
  if (is_file(folder_.file("killed/report.html"))) GTEST_SKIP() << "the run was over before it could be killed";
  ASSERT_EQ(run(sixty("killed", {})).code, 2);  // an unfinished run is not overwritten
  ASSERT_EQ(run(sixty("killed", {"--resume"})).code, 0);
  EXPECT_EQ(weights("killed"), weights("whole"));
  EXPECT_EQ(losses_of(log), losses_of(folder_.file("whole/log.jsonl")));
}

TEST_F(TrainCommand, AFullDiskKeepsTheLastGoodCheckpoint) {
  ASSERT_EQ(run(words("full", {"--checkpoint-every", "6"})).code, 0);
  const std::string before = *read_file(folder_.file("full/checkpoint.safetensors"));
  // A limit on the size of files stands for the disk.
  EXPECT_GT(exit_code_of(fmt::format("trap '' XFSZ; ulimit -f 8; {} {} --overwrite --checkpoint-every 2",
                                     KINGLET_PROGRAM, fmt::join(words("full"), " "))),
            0);
  EXPECT_EQ(*read_file(folder_.file("full/checkpoint.safetensors")), before);
}
#endif

}  // namespace
}  // namespace kinglet
