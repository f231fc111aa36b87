#include "train/batch.h"

#include <gtest/gtest.h>

namespace kinglet::train {
namespace {

using Ints = std::vector<int32_t>;

TEST(Batch, LabelsAreShiftedInsideEachSequence) {
  const Sample samples[] = {{{5, 6, 7}, {5, kIgnore, 7}}, {{}, {}}, {{8, 9}, {8, 9}}};
  const Batch batch = make_batch(samples);
  EXPECT_EQ(batch.tokens, (Ints{5, 6, 7, 8, 9}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 0, 1}));
  EXPECT_EQ(batch.starts, (Ints{0, 3, 5}));
  EXPECT_EQ(batch.targets, (Ints{kIgnore, 7, kIgnore, 9, kIgnore}));
  EXPECT_EQ(unmasked(batch), 2);
  EXPECT_EQ(batch.sequences(), 2);
  EXPECT_EQ(make_batch({}).sequences(), 0);
}

TEST(Batch, AWindowPredictsTheTokenAfterIt) {
  Batch batch;
  append_sequence(batch, Ints{1, 2}, Ints{1, 2, 3});
  EXPECT_EQ(batch.targets, (Ints{2, 3}));
}

}  // namespace
}  // namespace kinglet::train
