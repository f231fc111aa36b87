#include "engine/memory_needs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace kinglet {
namespace {

TEST(KvBytesFor, IsWhatASequenceTakes) {
  // Pages of 512 KB: 15 in a slab, so that the number of pages shows.
  const KvShape shape{DType::f32, 8, 128};
  for (const auto& windows : {std::vector<int32_t>{0, 0, 0}, {100, 0, 100, 100}, {64}, {1}, {65, 512}}) {
    for (const int64_t batch : {1, 64, 100, 512}) {
      const int64_t context = 2000;
      Ledger ledger;
      KvPool pool(shape, windows, ledger);
      KvSequence kv(pool);
      uint64_t most = 0;
      while (kv.length() < context) {
        const int64_t tokens = std::min(batch, context - kv.length());
        ASSERT_TRUE(kv.prepare(tokens).ok());
        most = std::max(most, pool.bytes());
        kv.commit(tokens);
      }
      const uint64_t promised = pool.bytes_for(context, batch);
      EXPECT_GE(promised, most) << windows.size() << " layers, batch " << batch;
      EXPECT_LE(promised, most + (uint64_t{8} << 20)) << windows.size() << " layers, batch " << batch;
    }
  }
}

TEST(MemoryNeeds, AreWhatTheLedgerCounts) {
  for (const char* name : {"llama-3.2", "gemma-3"}) {
    const std::string path = std::string(KINGLET_SHARED_DIR) + "/fixtures/models/" + name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "shared fixtures are absent: " << path;
    Ledger ledger;
    const auto model = Model::load(path, {}, ledger);
    ASSERT_TRUE(model.ok()) << model.status().text();
    const RunnerOptions options{.threads = 2, .context = 40, .batch_tokens = 16};
    const auto needs = memory_needs(**model, options);
    ASSERT_TRUE(needs.ok()) << needs.status().text();
    const auto runner = Runner::create(**model, options);
    ASSERT_TRUE(runner.ok()) << runner.status().text();
    KvSequence kv = (*runner)->new_sequence();
    ASSERT_TRUE(kv.prepare(40).ok());
    EXPECT_EQ(needs->total(), ledger.total());
    EXPECT_EQ(needs->key_values, ledger.used(MemoryUse::key_values));
    EXPECT_EQ(needs->activations, ledger.used(MemoryUse::activations));
  }
}

}  // namespace
}  // namespace kinglet
