#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kinglet::train {
namespace {

TEST(Schedule, WarmupClimbsInALineToThePeak) {
  for (const ScheduleKind kind :
       {ScheduleKind::constant, ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::wsd}) {
    const Schedule s{.kind = kind, .peak = 8, .total = 100, .warmup = 4, .decay = 10};
    EXPECT_EQ(s.rate(0), 2);
    EXPECT_EQ(s.rate(1), 4);
    EXPECT_EQ(s.rate(3), 8);
    EXPECT_EQ(s.rate(4), 8);
    EXPECT_EQ(schedule_from_name(name(kind)), kind);
  }
  EXPECT_EQ(schedule_from_name("sawtooth"), std::nullopt);
}

TEST(Schedule, FallsAsItsFormulaSays) {
  const Schedule cosine{.kind = ScheduleKind::cosine, .peak = 3, .floor = 1, .total = 14, .warmup = 2};
  EXPECT_NEAR(cosine.rate(8), 2, 1e-15);  // halfway
  EXPECT_NEAR(cosine.rate(6), 2 + std::cos(std::acos(-1.0) / 3), 1e-15);
  EXPECT_EQ(cosine.rate(14), 1);
  EXPECT_EQ(cosine.rate(1000), 1);
  const Schedule linear{.kind = ScheduleKind::linear, .peak = 3, .floor = 1, .total = 12, .warmup = 2};
  EXPECT_DOUBLE_EQ(linear.rate(7), 2);
  EXPECT_DOUBLE_EQ(linear.rate(11), 1.2);
  const Schedule wsd{.kind = ScheduleKind::wsd, .peak = 4, .total = 20, .warmup = 2, .decay = 8};
  EXPECT_EQ(wsd.rate(12), 4);
  EXPECT_EQ(wsd.rate(16), 2);
  EXPECT_EQ(wsd.rate(20), 0);
  const Schedule constant{.kind = ScheduleKind::constant, .peak = 4, .total = 5};
  EXPECT_EQ(constant.rate(400), 4);
}

TEST(Schedule, RefusesWhatDoesNotFit) {
  EXPECT_TRUE((Schedule{.peak = 1, .total = 10, .warmup = 10}).check().ok());
  EXPECT_FALSE((Schedule{.peak = 0}).check().ok());
  EXPECT_FALSE((Schedule{.peak = 1, .floor = 2}).check().ok());
  EXPECT_FALSE((Schedule{.peak = 1, .total = 0}).check().ok());
  EXPECT_FALSE((Schedule{.peak = 1, .total = 10, .warmup = 11}).check().ok());
  EXPECT_FALSE((Schedule{.kind = ScheduleKind::wsd, .peak = 1, .total = 10, .warmup = 5, .decay = 6}).check().ok());
}

}  // namespace
}  // namespace kinglet::train
