#include "formats/describe.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "host/testing.h"

namespace kinglet {
namespace {

class DescribeGguf : public testing::Test {
 protected:
  // The entry of `value` after a way through a file.
  MetadataEntry entry(gguf::Value value) {
    const std::string path = folder_.file("m.gguf");
    gguf::Writer w(path);
    w.set("key", std::move(value));
    EXPECT_TRUE(w.begin().ok() && w.finish().ok());
    const auto entries = describe_metadata(*Checkpoint::open(path));
    return entries.at(0);
  }
  std::string text(gguf::Value value, size_t most = 60) { return metadata_text(entry(std::move(value)), most); }
  TempFolder folder_;
};

TEST_F(DescribeGguf, Scalars) {
  EXPECT_EQ(entry(uint32_t{7}).type, "u32");
  EXPECT_EQ(text(uint32_t{7}), "7");
  EXPECT_EQ(text(1e-6f), "1e-06");
  EXPECT_EQ(text(std::numeric_limits<float>::quiet_NaN()), "\"nan\"");
  EXPECT_EQ(text(true), "true");
  EXPECT_EQ(text(std::string("a\nb")), "\"a\\nb\"");
}

TEST_F(DescribeGguf, LongTextsEndBetweenCharacters) {
  EXPECT_EQ(text(std::string("\xC3\xA9\xC3\xA9\xC3\xA9"), 4), "\"\xC3\xA9...");
  EXPECT_EQ(text(std::string("\xFF\xFE")), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST_F(DescribeGguf, LongArraysShowTheirHead) {
  std::vector<int32_t> items(100);
  std::iota(items.begin(), items.end(), 0);
  const MetadataEntry long_one = entry(gguf::make_array(items));
  EXPECT_EQ(long_one.type, "i32[100]");
  EXPECT_EQ(metadata_text(long_one, 60), "[0,1,2,3,...]");
  items.resize(4);
  EXPECT_EQ(text(gguf::make_array(items)), "[0,1,2,3]");
  EXPECT_EQ(text(gguf::make_array(std::vector<bool>{true, false})), "[true,false]");
}

TEST(DescribeFolder, LeavesOfTheConfiguration) {
  TempFolder folder;
  ASSERT_TRUE(write_file(folder.file("config.json"), R"({"a": {"b": 1.5, "c": null}, "d": ["x"]})").ok());
  ASSERT_TRUE(write_file(folder.file("generation_config.json"), R"({"e": 2})").ok());
  const auto entries = describe_metadata(*Checkpoint::open(folder.path()));
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].key, "a.b");
  EXPECT_EQ(entries[0].type, "number");
  EXPECT_EQ(metadata_text(entries[1], 60), "[\"x\"]");
  EXPECT_EQ(entries[2].key, "generation_config.e");
}

}  // namespace
}  // namespace kinglet
