// The first start (packing on the way), the second (from the cache file) and one after damage give the same bits.
#include "engine/packing.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "engine/testing.h"
#include "host/testing.h"

namespace kinglet {
namespace {

const std::string kModel = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/qwen3";

struct Start {
  bool from_cache = false;
  std::vector<float> logits;
};

Start start(const std::string& folder) {
  Ledger ledger;
  auto model = Model::load(kModel, {.packing_folder = folder, .packing_smallest_bytes = 0}, ledger);
  EXPECT_TRUE(model.ok()) << model.status().text();
  auto runner = Runner::create(**model, {.threads = 2, .batch_tokens = 8, .outputs = 8});
  const std::vector<TokenId> tokens = {5, 6, 7, 8};
  Start out{(*model)->packed().from_cache(), {}};
  // Packed into scratch, packed to stay, packed already; read from the cache file, moved out of it, moved already.
  for (int i = 0; i < PackedWeights::kPatience + 3; ++i) {
    const std::vector<float> logits = logits_after(**runner, tokens);
    if (i == 0) out.logits = logits;
    else EXPECT_EQ(logits, out.logits);
  }
  (*model)->packed().wait();
  return out;
}

TEST(Packing, EveryStartGivesTheSameBits) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << "shared fixtures are absent: " << kModel;
  if (available_kernels().count == 1) GTEST_SKIP() << "the reference kernels pack nothing";
  const TempFolder folder;
  const Start nowhere = start("");
  const Start first = start(folder.path());
  const Start second = start(folder.path());
  EXPECT_FALSE(first.from_cache);
  EXPECT_TRUE(second.from_cache);
  EXPECT_EQ(first.logits, nowhere.logits);
  EXPECT_EQ(second.logits, nowhere.logits);

  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(folder.path())))
    files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1u);
  std::filesystem::resize_file(files[0], std::filesystem::file_size(files[0]) - 1);
  const Start third = start(folder.path());
  EXPECT_FALSE(third.from_cache);
  EXPECT_EQ(third.logits, nowhere.logits);
  EXPECT_TRUE(start(folder.path()).from_cache);
}

TEST(Packing, AFolderThatCannotBeWrittenOnlyCostsTheCache) {
  if (!std::filesystem::exists(kModel)) GTEST_SKIP() << "shared fixtures are absent: " << kModel;
  const Start there = start("/dev/null/nowhere");
  EXPECT_EQ(there.logits, start("").logits);
}

}  // namespace
}  // namespace kinglet
