#include "train/reference_cache.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "host/file.h"
#include "host/testing.h"

namespace kinglet::train {
namespace {

Dataset answers(int32_t first) {
  Dataset data;
  for (int32_t i = 0; i < 3; ++i) data.add({{first, 2 + i, 3}, {kIgnore, 2 + i, 3}}, {});
  return data;
}

struct Cached {
  TempFolder folder;
  int asked = 0;
  ReferenceCache open(const std::string& model) const { return {folder.file("references"), model}; }
  std::vector<double> get(const std::string& model, const Dataset& data) {
    ReferenceCache cache = open(model);
    const auto got = cache.log_probs(data, [this](const Dataset& d) -> Result<std::vector<double>> {
      ++asked;
      return std::vector<double>(d.size(), -1.0 / (3.0 + static_cast<double>(d.ids(0)[0])));
    });
    EXPECT_TRUE(got.ok());
    return got.ok() ? *got : std::vector<double>();
  }
};

TEST(ReferenceCache, AsksOnceForOneModelAndItsData) {
  Cached c;
  const auto first = c.get("a", answers(1));
  EXPECT_EQ(c.get("a", answers(1)), first);  // bit for bit
  EXPECT_EQ(c.asked, 1);
  EXPECT_NE(c.get("a", answers(2)), first);
  EXPECT_EQ(c.asked, 2);
  (void)c.get("b", answers(1));
  EXPECT_EQ(c.asked, 3);
  Dataset other_labels;
  other_labels.add({{1, 2, 3}, {kIgnore, kIgnore, 3}}, {});
  Dataset same_ids;
  same_ids.add({{1, 2, 3}, {kIgnore, 2, 3}}, {});
  EXPECT_NE(data_key(other_labels), data_key(same_ids));
}

TEST(ReferenceCache, ReplacesWhatIsDamagedAndLivesWithoutAFolder) {
  Cached c;
  const auto first = c.get("a", answers(1));
  for (const auto& entry : std::filesystem::directory_iterator(c.folder.file("references")))
    ASSERT_TRUE(write_file(entry.path().string(), "half a file").ok());
  EXPECT_EQ(c.get("a", answers(1)), first);
  EXPECT_EQ(c.get("a", answers(1)), first);
  EXPECT_EQ(c.asked, 2);
  ReferenceCache nowhere("", "a");
  const auto got = nowhere.log_probs(
      answers(1), [](const Dataset& d) -> Result<std::vector<double>> { return std::vector<double>(d.size(), -2.0); });
  EXPECT_EQ(nowhere.computed(), 3);
  EXPECT_TRUE(got.ok());
}

}  // namespace
}  // namespace kinglet::train
