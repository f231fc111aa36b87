#include "cli/completion.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace kinglet::cli {
namespace {

/// Two commands with one option each.
void add_commands(CommandLine& root, std::string& value, bool& flag) {
  root.add_command("run", "answer a prompt").option("-t,--threads", value, "it's a [number]: of threads");
  root.add_command("rm", "remove a model").flag("--all", flag, "every one");
}

class Completion : public ::testing::Test {
 protected:
  Completion() { add_commands(root_, value_, flag_); }

  /// What `shell` (a command and its options) prints for a script that sources the completion first.
  std::string run(const std::string& shell, const std::string& script, const std::string& completion) {
    const auto path = std::filesystem::temp_directory_path() / "kinglet_completion_test.script";
    std::ofstream(path) << completion << "\n" << script;
    const std::string command = shell + " " + path.string() + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");  // NOLINT(cert-env33-c): a test's own words
    std::string out;
    for (int c = 0; pipe != nullptr && (c = fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    if (pipe != nullptr) pclose(pipe);
    std::filesystem::remove(path);
    return out;
  }

  /// The words that bash offers for the last of `words`.
  std::string offers(const std::string& words, int index) {
    return run("bash",
               "compopt() { :; }\nCOMP_WORDS=(" + words + ")\nCOMP_CWORD=" + std::to_string(index) +
                   "\n_kinglet\necho \"${COMPREPLY[*]}\"\n",
               bash_completion(root_.program()));
  }

  std::string value_;
  bool flag_ = false;
  CommandLine root_{"test", "kinglet", "kinglet 0"};
};

TEST_F(Completion, BashOffersCommands) {
  EXPECT_EQ(offers("kinglet r", 1), "run rm\n");
  EXPECT_EQ(offers("kinglet ru", 1), "run\n");
}

TEST_F(Completion, BashOffersOptionsOfTheCommandAndNothingElse) {
  EXPECT_EQ(offers("kinglet run --t", 2), "--threads\n");
  EXPECT_EQ(offers("kinglet rm --t", 2), "\n");
  EXPECT_EQ(offers("kinglet rm --a", 2), "--all\n");
}

TEST_F(Completion, BashOffersNoOptionWhereAValueIsDue) { EXPECT_EQ(offers("kinglet run --threads --t", 3), "\n"); }

TEST_F(Completion, ZshScriptParses) {
  if (std::system("command -v zsh > /dev/null") != 0) GTEST_SKIP() << "zsh is not installed";
  EXPECT_EQ(run("zsh -n", "", zsh_completion(root_.program())), "");
}

TEST_F(Completion, ZshEscapesWhatItsArgumentsWouldRead) {
  const std::string script = zsh_completion(root_.program());
  EXPECT_NE(script.find("'--threads[it'\\''s a \\[number\\]\\: of threads]:value:_files'"), std::string::npos)
      << script;
  EXPECT_NE(script.find("'--all[every one]'"), std::string::npos) << script;
}

}  // namespace
}  // namespace kinglet::cli
