#include "cli/history.h"

#include <gtest/gtest.h>

#include "host/file.h"
#include "host/testing.h"

namespace kinglet::cli {
namespace {

TEST(History, KeepsEntriesOfSeveralLines) {
  const TempFolder folder;
  const std::string path = folder.file("new/history");
  EXPECT_TRUE(load_history(path).empty());
  const std::vector<std::string> entries = {"one", "two\nlines", "back\\slash", "\\n is no line end", "größe 漢字"};
  for (const std::string& entry : entries) EXPECT_TRUE(add_to_history(path, entry).ok());
  EXPECT_TRUE(add_to_history(path, entries.back()).ok());
  EXPECT_TRUE(add_to_history(path, "").ok());
  EXPECT_EQ(load_history(path), entries);
}

TEST(History, DropsTheOldest) {
  const TempFolder folder;
  const std::string path = folder.file("history");
  std::string text;
  for (size_t i = 0; i < kMostHistoryEntries + 5; ++i) text += std::to_string(i) + "\n";
  ASSERT_TRUE(write_file(path, text).ok());
  ASSERT_TRUE(add_to_history(path, "last").ok());
  const auto entries = load_history(path);
  EXPECT_EQ(entries.size(), kMostHistoryEntries);
  EXPECT_EQ(entries.front(), "6");
  EXPECT_EQ(entries.back(), "last");
}

TEST(History, AnUnwritableFolderIsAnError) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(folder.file("file"), "").ok());
  EXPECT_FALSE(add_to_history(folder.file("file/history"), "x").ok());
}

}  // namespace
}  // namespace kinglet::cli
