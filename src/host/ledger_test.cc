#include "host/ledger.h"

#include <gtest/gtest.h>

namespace kinglet {
namespace {

TEST(Ledger, RefusesBeyondTheLimitWithTheBreakdownAndCountsNothingThen) {
  Ledger ledger(100 << 20);
  EXPECT_TRUE(ledger.reserve(MemoryUse::weights, 60 << 20).ok());
  const Status refused = ledger.reserve(MemoryUse::key_values, 50 << 20);
  EXPECT_EQ(refused.code(), Code::resource_exhausted);
  EXPECT_NE(refused.text().find("weights 60.0 MB"), std::string_view::npos) << refused.text();
  EXPECT_EQ(ledger.total(), uint64_t{60} << 20);
  ledger.release(MemoryUse::weights, 60 << 20);
  EXPECT_TRUE(ledger.reserve(MemoryUse::key_values, 100 << 20).ok());
}

TEST(Ledger, ALimitlessOneStillRefusesOverflow) {
  Ledger ledger;
  EXPECT_TRUE(ledger.reserve(MemoryUse::other, UINT64_MAX - 1).ok());
  EXPECT_FALSE(ledger.reserve(MemoryUse::other, 2).ok());
}

TEST(ParseBytes, TakesUnitsAndRefusesTheRest) {
  EXPECT_EQ(*parse_bytes("6G"), uint64_t{6} << 30);
  EXPECT_EQ(*parse_bytes("1.5GiB"), uint64_t{3} << 29);
  EXPECT_EQ(*parse_bytes("512mb"), uint64_t{512} << 20);
  EXPECT_EQ(*parse_bytes("1000"), 1000u);
  for (const char* bad : {"", "G", "-1G", "1X", "6GG", "nan", "1e30G"}) EXPECT_FALSE(parse_bytes(bad).ok()) << bad;
}

}  // namespace
}  // namespace kinglet
