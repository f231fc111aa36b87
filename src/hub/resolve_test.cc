#include "hub/resolve.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace kinglet::hub {
namespace {

namespace fs = std::filesystem;

/// A KINGLET_HOME of its own for each test.
class Resolve : public testing::Test {
 protected:
  void SetUp() override {
    home_ = fs::path(testing::TempDir()) / ("kinglet-resolve-" + std::to_string(::getpid()));
    fs::create_directories(home_ / "models");
    ::setenv("KINGLET_HOME", home_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("KINGLET_HOME");
    fs::remove_all(home_);
  }
  void write(const fs::path& path, const std::string& text = "x") { std::ofstream(path) << text; }

  fs::path home_;
};

TEST_F(Resolve, TellsHowToGetAKnownModel) {
  const auto path = resolve_model("gemma-3-270m");
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.status().code(), Code::not_found);
  EXPECT_NE(path.status().text().find("kinglet pull gemma-3-270m"), std::string_view::npos);
}

TEST_F(Resolve, FindsAPulledModelAFileAndAFolder) {
  write(home_ / "models" / "gemma-3-270m-q4_k_m.gguf");
  EXPECT_EQ(*resolve_model("gemma-3-270m"), (home_ / "models" / "gemma-3-270m-q4_k_m.gguf").string());
  EXPECT_EQ(*resolve_model("gemma-3-270m-q4_k_m"), (home_ / "models" / "gemma-3-270m-q4_k_m.gguf").string());
  write(home_ / "own.gguf");
  EXPECT_EQ(*resolve_model((home_ / "own.gguf").string()), (home_ / "own.gguf").string());
  EXPECT_EQ(*resolve_model(home_.string()), home_.string());
}

TEST_F(Resolve, PutsABuiltInModelIntoTheCacheWhenFirstNamed) {
  const auto path = resolve_model("books-7m");
  ASSERT_TRUE(path.ok()) << path.status().text();
  EXPECT_EQ(*path, (home_ / "models" / "books-7m-q8_0.gguf").string());
  EXPECT_GT(fs::file_size(*path), 1'000'000u);
}

TEST_F(Resolve, FollowsPulledHubNames) {
  EXPECT_EQ(resolve_model("hf:a/b:q8_0").status().code(), Code::not_found);
  write(home_ / "pulled.json", R"({"hf:a/b:q8_0": "b-q8_0.gguf"})");
  write(home_ / "models" / "b-q8_0.gguf");
  EXPECT_EQ(*resolve_model("hf:a/b:q8_0"), (home_ / "models" / "b-q8_0.gguf").string());
  write(home_ / "pulled.json", R"({"hf:a/b:q8_0": "../b-q8_0.gguf"})");
  EXPECT_EQ(resolve_model("hf:a/b:q8_0").status().code(), Code::corrupt);
}

TEST_F(Resolve, RefusesWhatIsNotThere) {
  EXPECT_EQ(resolve_model("").status().code(), Code::invalid_argument);
  EXPECT_EQ(resolve_model("no-such-model").status().code(), Code::not_found);
  EXPECT_EQ(resolve_model("/no/such/file.gguf").status().code(), Code::not_found);
}

}  // namespace
}  // namespace kinglet::hub
