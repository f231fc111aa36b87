#include "engine/kv_cache.h"

#include <gtest/gtest.h>

#include <cstring>

namespace kinglet {
namespace {

constexpr KvShape kShape{DType::f32, 1, 4};

class KvCacheTest : public testing::Test {
 protected:
  void grow(KvSequence& s, int64_t tokens) {
    ASSERT_TRUE(s.prepare(tokens).ok());
    s.commit(tokens);
  }
  static std::byte* page(const KvSequence& s, size_t layer, int64_t position) {
    return s.pages()[layer][position / kPageTokens];
  }

  Ledger ledger_;
  KvPool pool_{kShape, {0, 100}, ledger_};  // layer 0 keeps everything, layer 1 has a window of 100
};

TEST_F(KvCacheTest, ASlidingWindowLayerStopsGrowing) {
  KvSequence s(pool_);
  for (int i = 0; i < 40; ++i) {
    grow(s, 64);
    // Layer 1 keeps at most the pages that 100 positions touch.
    int64_t kept = 0;
    for (int64_t p = 0; p < s.length(); p += kPageTokens) kept += page(s, 1, p) != nullptr;
    EXPECT_LE(kept, 3);
  }
  EXPECT_EQ(pool_.pages_in_use(), 40u + 2u);
}

TEST_F(KvCacheTest, AForkSharesPagesAndCopiesTheOneItWritesTo) {
  KvSequence a(pool_);
  grow(a, 70);
  std::memset(page(a, 0, 64), 7, kShape.page_bytes());
  auto b = a.fork();
  ASSERT_TRUE(b.ok());
  EXPECT_EQ(page(a, 0, 0), page(*b, 0, 0));
  grow(*b, 1);
  EXPECT_EQ(page(a, 0, 0), page(*b, 0, 0));
  EXPECT_NE(page(a, 0, 64), page(*b, 0, 64));
  EXPECT_EQ(std::memcmp(page(a, 0, 64), page(*b, 0, 64), kShape.page_bytes()), 0);
  const std::byte* kept = page(a, 0, 64);
  grow(a, 1);  // the last owner writes in place
  EXPECT_EQ(page(a, 0, 64), kept);
  b->clear();
  a.clear();
  EXPECT_EQ(pool_.pages_in_use(), 0u);
}

TEST_F(KvCacheTest, GoesBackWhereTheWindowAllows) {
  KvSequence s(pool_);
  grow(s, 90);
  EXPECT_TRUE(s.truncate(10).ok());
  EXPECT_EQ(s.length(), 10);
  grow(s, 500);
  EXPECT_FALSE(s.truncate(10).ok());
  EXPECT_EQ(s.length(), 510);
  EXPECT_TRUE(s.truncate(505).ok());
  EXPECT_FALSE(s.truncate(-1).ok());
  EXPECT_FALSE(s.truncate(506).ok());
}

TEST_F(KvCacheTest, AFewPositionsCanAlwaysBeTakenBack) {
  KvSequence s(pool_);
  for (int64_t i = 0; i < 400; ++i) {
    grow(s, 1);
    EXPECT_TRUE(s.can_truncate(s.length() - std::min(s.length(), KvSequence::kTakeBack))) << s.length();
  }
}

TEST_F(KvCacheTest, WhatIsBeyondTheAskedLengthIsNotSaved) {
  KvSequence s(pool_);
  grow(s, 140);
  const std::vector<std::byte> saved = s.save(128);
  KvSequence back(pool_);
  ASSERT_TRUE(back.restore(saved).ok());
  EXPECT_EQ(back.length(), 128);
}

TEST_F(KvCacheTest, MemoryIsHeldToTheLedger) {
  Ledger small(1 << 10);
  KvPool pool(kShape, {0}, small);
  KvSequence s(pool);
  EXPECT_EQ(s.prepare(1).code(), Code::resource_exhausted);
  EXPECT_EQ(small.total(), 0u);
}

TEST_F(KvCacheTest, SavedPagesComeBackAndDamagedOnesAreRefused) {
  KvSequence s(pool_);
  grow(s, 300);
  for (int64_t p = 0; p < 300; p += kPageTokens) std::memset(page(s, 0, p), static_cast<int>(p), kShape.page_bytes());
  const std::vector<std::byte> saved = s.save(300);
  KvSequence back(pool_);
  ASSERT_TRUE(back.restore(saved).ok());
  EXPECT_EQ(back.length(), 300);
  EXPECT_EQ(back.save(300), saved);
  for (size_t cut : {size_t{0}, size_t{7}, size_t{8}, saved.size() / 2, saved.size() - 1})
    EXPECT_FALSE(back.restore(std::span(saved).first(cut)).ok()) << cut;
  auto wrong = saved;
  wrong[7] = std::byte{0x7f};  // an absurd length
  EXPECT_FALSE(back.restore(wrong).ok());
  wrong = saved;
  wrong[8] = std::byte{0};  // a page that is needed and not there
  EXPECT_FALSE(back.restore(wrong).ok());
  EXPECT_EQ(back.length(), 0);
}

}  // namespace
}  // namespace kinglet
