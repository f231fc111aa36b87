#include "host/progress.h"

#include <gtest/gtest.h>

namespace kinglet {
namespace {

TEST(Progress, ShowsBarRateAndTimeLeft) {
  Progress progress("model", 1'048'576);
  progress.update(0);
  progress.update(262'144);
  EXPECT_EQ(progress.line(1.0, 100),
            "model  [##########..............................]  256 KB of 1.0 MB  256 KB/s  0:03 left");
}

TEST(Progress, LeavesTheBarOutWhereThereIsNoRoomAndNeverWraps) {
  Progress progress("model", 1'048'576);
  progress.update(0);
  progress.update(262'144);
  for (int width = 1; width < 100; ++width) EXPECT_LT(static_cast<int>(progress.line(1.0, width).size()), width);
}

TEST(Progress, ShowsWhatIsDoneWhereTheTotalIsNotKnown) {
  Progress progress("texts", 0, Progress::Unit::items);
  progress.update(0);
  progress.update(30);
  EXPECT_EQ(progress.line(2.0, 80), "texts  30  15.0/s");
}

TEST(Progress, CountsTheRateFromWhereItResumed) {
  Progress progress("model", 1'000, Progress::Unit::items);
  progress.update(900);
  progress.update(950);
  EXPECT_NE(progress.line(1.0, 100).find("50.0/s  0:01 left"), std::string::npos) << progress.line(1.0, 100);
}

}  // namespace
}  // namespace kinglet
