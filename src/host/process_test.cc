#include "host/process.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace kinglet {
namespace {

#ifndef _WIN32

TEST(Process, GivesExitCodeAndOutput) {
  const auto result = run_process({"sh", "-c", "echo out; echo err >&2; exit 3"});
  ASSERT_TRUE(result.ok()) << result.status().text();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "out\nerr\n");
}

TEST(Process, PassesWordsAndEnvironmentAsTheyAre) {
  const auto result = run_process({"sh", "-c", "printf '%s|%s' \"$1\" \"$KINGLET_TEST_WORD\"", "sh", "a b;$(c)"},
                                  {.environment = {{"KINGLET_TEST_WORD", "x y"}}, .tick = {}});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output, "a b;$(c)|x y");
}

TEST(Process, KeepsTheEndOfALongOutput) {
  const auto result = run_process({"sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"});
  ASSERT_TRUE(result.ok());
  EXPECT_LT(result->output.size(), 20'000u);
  EXPECT_TRUE(result->output.ends_with("line 2999\n"));
}

TEST(Process, SaysWhereThereIsNoSuchProgram) {
  EXPECT_EQ(run_process({"kinglet-no-such-program"}).status().code(), Code::not_found);
}

#endif

TEST(FileLock, RefusesASecondHolder) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / "kinglet-lock-test").string();
  {
    const auto first = FileLock::acquire(path);
    ASSERT_TRUE(first.ok()) << first.status().text();
    EXPECT_EQ(FileLock::acquire(path).status().code(), Code::resource_exhausted);
  }
  EXPECT_TRUE(FileLock::acquire(path).ok());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace kinglet
