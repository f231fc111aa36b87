#include "cli/arguments.h"

#include <gtest/gtest.h>

#include "host/file.h"
#include "host/testing.h"

namespace kinglet::cli {
namespace {

/// A command with one word of each kind that settings files hold.
class Settings : public ::testing::Test {
 protected:
  Settings() {
    command_.option("--rate", rate_, "a number").non_negative().show_default();
    command_.option("--betas", betas_, "two numbers").delimiter(',').expected(2).show_default();
    command_.option("--optimizer", optimizer_, "a word").one_of({"adamw", "lion"}).show_default();
    command_.flag("--all", all_, "a flag");
    command_.flag("--resume", resume_, "no setting").not_in_settings();
  }

  std::optional<int> parse(std::vector<const char*> words) {
    words.insert(words.begin(), {"kinglet", "train"});
    return line_.parse(static_cast<int>(words.size()), words.data());
  }
  Status read(const std::string& text) {
    const std::string path = folder_.file("settings.toml");
    EXPECT_TRUE(write_file(path, text).ok());
    return command_.read_settings(path);
  }

  double rate_ = 0.5;
  std::vector<double> betas_{0.9, 0.95};
  std::string optimizer_ = "adamw";
  bool all_ = false, resume_ = false;
  TempFolder folder_;
  CommandLine line_{"test", "kinglet", "kinglet 0"};
  Arguments command_ = line_.add_command("train", "learn");
};

TEST_F(Settings, FileSpeaksWhereTheCommandLineIsSilent) {
  ASSERT_EQ(parse({"--optimizer", "lion"}), std::nullopt);
  ASSERT_TRUE(read("rate=2.5\nbetas=[0.8, 0.9]\noptimizer=\"adamw\"\nall=true\n").ok());
  EXPECT_EQ(rate_, 2.5);
  EXPECT_EQ(betas_, (std::vector<double>{0.8, 0.9}));
  EXPECT_EQ(optimizer_, "lion");
  EXPECT_TRUE(all_);
}

TEST_F(Settings, TextReadsBackAsItWasWritten) {
  ASSERT_EQ(parse({"--rate", "0.25", "--all"}), std::nullopt);
  const std::string text = command_.settings_text();
  EXPECT_EQ(text.find("resume"), std::string::npos);
  CommandLine other("test", "kinglet", "kinglet 0");
  Arguments command = other.add_command("train", "learn");
  double rate = 0;
  std::vector<double> betas;
  std::string optimizer;
  bool all = false;
  command.option("--rate", rate, "");
  command.option("--betas", betas, "").delimiter(',').expected(2);
  command.option("--optimizer", optimizer, "");
  command.flag("--all", all, "");
  const char* words[] = {"kinglet", "train"};
  ASSERT_EQ(other.parse(2, words), std::nullopt);
  const std::string path = folder_.file("settings.toml");
  ASSERT_TRUE(write_file(path, text).ok());
  ASSERT_TRUE(command.read_settings(path).ok());
  EXPECT_EQ(rate, 0.25);
  EXPECT_EQ(betas, betas_);
  EXPECT_EQ(optimizer, "adamw");
  EXPECT_TRUE(all);
}

TEST_F(Settings, RefusesUnknownWordsBadValuesAndMissingFiles) {
  ASSERT_EQ(parse({}), std::nullopt);
  EXPECT_EQ(read("speed=3\n").code(), Code::invalid_argument);
  EXPECT_EQ(read("resume=true\n").code(), Code::invalid_argument);
  EXPECT_EQ(read("optimizer=\"sgd\"\n").code(), Code::corrupt);
  EXPECT_EQ(read("rate=fast\n").code(), Code::corrupt);
  EXPECT_EQ(command_.read_settings(folder_.file("none.toml")).code(), Code::not_found);
  EXPECT_TRUE(command_.read_settings("").ok());
}

TEST_F(Settings, ListNamesEverySettingAndItsValue) {
  ASSERT_EQ(parse({"--betas", "0.1,0.2"}), std::nullopt);
  const std::vector<std::pair<std::string, std::string>> expected{
      {"rate", "0.5"}, {"betas", "0.1, 0.2"}, {"optimizer", "adamw"}};
  EXPECT_EQ(command_.settings_list(), expected);
}

TEST_F(Settings, WordsThatCannotBeTakenEndTheProgramWithTwo) {
  EXPECT_EQ(parse({"--rate", "-1"}), 2);
  EXPECT_EQ(parse({"--optimizer", "sgd"}), 2);
  EXPECT_EQ(parse({"--nothing"}), 2);
}

TEST_F(Settings, HelpEndsTheProgramWithZero) { EXPECT_EQ(parse({"--help"}), 0); }

}  // namespace
}  // namespace kinglet::cli
