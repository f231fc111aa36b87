#include "engine/tuning.h"

#include <gtest/gtest.h>

#include "host/file.h"
#include "host/testing.h"
#include "host/threads.h"

namespace kinglet {
namespace {

TEST(Tuning, AProbeChoosesWhatThisProcessorHas) {
  const Tuning tuning = probe_machine();
  EXPECT_NE(find_kernels(tuning.kernels.c_str()), nullptr);
  EXPECT_GE(tuning.threads, 1);
  EXPECT_LE(tuning.threads, ThreadPool::available());
  EXPECT_GE(tuning.few_tokens, 0);
  EXPECT_FALSE(tuning.trials.empty());
  EXPECT_EQ(tuning.processor, processor_key());
}

TEST(Tuning, IsRememberedByProcessor) {
  const TempFolder folder;
  const std::string path = folder.file("home/tuning.json");
  const Tuning probed = find_tuning(path);
  EXPECT_EQ(is_file(path), !probed.disturbed);
  if (!probed.disturbed) {
    EXPECT_EQ(find_tuning(path).trials, probed.trials) << "measured twice, they would differ";
  }
  const std::string known = R"({"kernels": "ref", "threads": 1, "few_tokens": 3, "trials": ["a trial"]})";
  ASSERT_TRUE(write_file(folder.file("known.json"), "{\"" + processor_key() + "\": " + known + "}").ok());
  const Tuning read = find_tuning(folder.file("known.json"));
  EXPECT_EQ(read.kernels, "ref");
  EXPECT_EQ(read.threads, 1);
  EXPECT_EQ(read.few_tokens, 3);
  EXPECT_EQ(read.trials, std::vector<std::string>{"a trial"});
}

TEST(Tuning, DamageMeansAnotherProbe) {
  const TempFolder folder;
  for (const std::string& text :
       {std::string("{"), std::string("[1]"),
        "{\"" + processor_key() + "\": {\"kernels\": \"none\", \"threads\": 1, \"few_tokens\": 4}}",
        "{\"" + processor_key() + "\": {\"kernels\": \"ref\", \"threads\": -1, \"few_tokens\": 4}}"}) {
    ASSERT_TRUE(write_file(folder.file("tuning.json"), text).ok());
    const Tuning tuning = find_tuning(folder.file("tuning.json"));
    EXPECT_NE(find_kernels(tuning.kernels.c_str()), nullptr) << text;
    EXPECT_GE(tuning.threads, 1) << text;
  }
}

TEST(Tuning, WarnsOfARowThatIsNotTheBest) {
  const KernelRows rows = available_kernels();
  EXPECT_NE(kernel_warning(*find_kernels("ref")).find("ref"), std::string::npos);
  EXPECT_EQ(kernel_warning(*rows.rows[0]).find("can run"), std::string::npos);
}

}  // namespace
}  // namespace kinglet
