#include "train/held_out.h"

#include <gtest/gtest.h>

#include <numeric>

namespace kinglet::train {
namespace {

Sample counted(int32_t first, size_t count) {
  Sample s;
  s.ids.resize(count);
  std::iota(s.ids.begin(), s.ids.end(), first);
  s.labels = s.ids;
  return s;
}

TEST(HeldOut, ATextIsCutAtTheVeryToken) {
  Dataset data;
  data.add(counted(0, 1000), {.text = true});
  const auto split = split_off_end(data, 0.1);
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(split->first.tokens(), 900);
  EXPECT_EQ(split->second.tokens(), 100);
  EXPECT_EQ(split->second.ids(0)[0], 900);
  EXPECT_TRUE(split->second.kind(0).text);
}

TEST(HeldOut, SamplesStayWhole) {
  Dataset data;
  for (int32_t i = 0; i < 10; ++i) data.add(counted(i * 10, 10), {});
  const auto split = split_off_end(data, 0.26);  // 74 tokens: the cut is in the eighth sample, nearer to its begin
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(split->first.size(), 7u);
  EXPECT_EQ(split->second.size(), 3u);
  EXPECT_EQ(split->second.ids(0)[0], 70);
  EXPECT_FALSE(split_off_end(data, 0).ok());
  EXPECT_FALSE(split_off_end(data, 1).ok());
}

}  // namespace
}  // namespace kinglet::train
