// Data in memory and the order it is taken in.
#include "train/dataset.h"

#include <gtest/gtest.h>

#include <set>

#include "host/testing.h"
#include "train/data_order.h"

namespace kinglet::train {
namespace {

class Data : public testing::Test {
 protected:
  Result<Dataset> load(const std::string& lines, SampleOptions options = {.vocabulary = 100},
                       DataGoal goal = DataGoal::samples) {
    EXPECT_TRUE(write_file(folder_.file("d.jsonl"), lines).ok());
    const auto maker = SampleMaker::create(nullptr, {}, options);
    EXPECT_TRUE(maker.ok());
    problems_ = RowProblems();
    report_ = {};
    return load_dataset({folder_.file("d.jsonl")}, *maker, {.goal = goal, .progress = {}}, problems_, report_);
  }
  /// `count` texts of `size` ids each.
  static Dataset texts(size_t count, int32_t size) {
    Dataset data;
    for (size_t i = 0; i < count; ++i) {
      Sample s;
      for (int32_t t = 0; t < size; ++t) s.ids.push_back(static_cast<int32_t>(i) * 1000 + t);
      s.labels = s.ids;
      data.add(s, {.text = true});
    }
    return data;
  }
  TempFolder folder_;
  RowProblems problems_;
  LoadReport report_;
};

TEST_F(Data, LabelsAreKeptOnlyWhereTheyDiffer) {
  const auto data = load(
      "{\"input_ids\": [1, 2]}\n{\"input_ids\": [3, 4, 5], \"labels\": [-100, -100, 5]}\n{\"input_ids\": [6, 7]}\n");
  ASSERT_TRUE(data.ok()) << data.status().text();
  ASSERT_EQ(data->size(), 3U);
  EXPECT_EQ(data->sample(0).labels, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(data->sample(1).labels, (std::vector<int32_t>{-100, -100, 5}));
  EXPECT_EQ(data->sample(2).labels, (std::vector<int32_t>{6, 7}));
  EXPECT_EQ(data->counted(), 3);
  EXPECT_EQ(data->tokens(), 7);
  EXPECT_EQ(data->longest(), 3);
}

TEST_F(Data, CutsAndProblemsAreReported) {
  const auto data = load(
      "{\"input_ids\": [1, 2, 3, 4]}\n{\"input_ids\": [1, 200]}\nx\n{\"input_ids\": [1, 2, 3], \"labels\": [-100, "
      "-100, 3]}\n",
      {.max_length = 2, .vocabulary = 100});
  ASSERT_TRUE(data.ok()) << data.status().text();
  EXPECT_EQ(data->size(), 1U);
  EXPECT_EQ(report_.cut_rows, 2);
  EXPECT_EQ(report_.cut_tokens, 3);
  EXPECT_EQ(report_.emptied, 1);
  EXPECT_EQ(problems_.count(), 2);
  const auto lines = describe(report_, problems_, 2);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0], "2 of 2 rows cut to 2 tokens (3 tokens lost)");
  EXPECT_NE(lines[3].find("d.jsonl:2: token id 200"), std::string::npos) << lines[3];
}

TEST_F(Data, NoRowLeftIsAnErrorWithTheFirstReason) {
  const auto none = load("{\"input_ids\": [1, 200]}\n");
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.status().text().find("d.jsonl:1"), std::string_view::npos) << none.status().text();
  EXPECT_FALSE(load("").ok());
}

TEST_F(Data, EveryEpochTakesEverySampleOnceInAnotherOrder) {
  const Dataset data = texts(50, 3);
  DataOrder order(data, {.seed = 7});
  DataCursor cursor;
  std::vector<std::vector<uint32_t>> epochs(2);
  for (int batch = 0; batch < 20; ++batch)
    for (const Window& w : order.next(cursor, {.sequences = 5}))
      epochs[static_cast<size_t>(batch / 10)].push_back(w.sample);
  for (const auto& epoch : epochs) EXPECT_EQ(std::set<uint32_t>(epoch.begin(), epoch.end()).size(), 50U);
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST_F(Data, ACursorGoesOnWhereItStood) {
  const Dataset data = texts(17, 40);
  const OrderOptions options{.window = 8, .seed = 3};
  DataOrder whole(data, options);
  DataCursor cursor;
  std::vector<DataCursor> cursors;
  std::vector<std::vector<int32_t>> batches;
  for (int i = 0; i < 60; ++i) {
    cursors.push_back(cursor);
    batches.push_back(whole.batch(whole.next(cursor, {.tokens = 30})).tokens);
  }
  for (const size_t at : {size_t{0}, size_t{1}, size_t{23}, size_t{59}}) {
    DataOrder resumed(data, options);
    DataCursor from = cursors[at];
    EXPECT_EQ(resumed.batch(resumed.next(from, {.tokens = 30})).tokens, batches[at]) << at;
  }
}

TEST_F(Data, WindowsPredictEachTokenOfATextOnce) {
  const Dataset data = texts(3, 21);
  DataOrder order(data, {.window = 8, .shuffle = true, .seed = 1});
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    DataCursor cursor{epoch, 0};
    std::multiset<int32_t> predicted;
    for (const size_t windows = order.epoch_size(epoch); cursor.next < windows && cursor.epoch == epoch;) {
      const Batch batch = order.batch(order.next(cursor, {.tokens = 16}));
      EXPECT_LE(batch.size(), 16);
      for (int64_t t = 0; t < batch.size(); ++t)
        EXPECT_EQ(batch.targets[static_cast<size_t>(t)], batch.tokens[static_cast<size_t>(t)] + 1);
      predicted.insert(batch.targets.begin(), batch.targets.end());
    }
    EXPECT_EQ(predicted.size(), 60U);
    EXPECT_EQ(std::set<int32_t>(predicted.begin(), predicted.end()).size(), 60U);
    EXPECT_EQ(order.epoch_tokens(epoch), 60);
  }
}

TEST_F(Data, PairsStayTogether) {
  Dataset data;
  for (int32_t i = 0; i < 20; ++i) data.add({{i, i}, {i, i}}, {});
  DataOrder order(data, {.seed = 5, .group = 2});
  DataCursor cursor;
  const auto windows = order.next(cursor, {.sequences = 10});
  ASSERT_EQ(windows.size(), 20U);
  for (size_t i = 0; i < windows.size(); i += 2) {
    EXPECT_EQ(windows[i].sample % 2, 0U);
    EXPECT_EQ(windows[i + 1].sample, windows[i].sample + 1);
  }
}

TEST_F(Data, WithoutShufflingTheOrderIsTheFiles) {
  const Dataset data = texts(4, 5);
  DataOrder order(data, {.shuffle = false});
  DataCursor cursor;
  EXPECT_EQ(order.batch(order.next(cursor, {.sequences = 2})).tokens,
            (std::vector<int32_t>{0, 1, 2, 3, 1000, 1001, 1002, 1003}));
  EXPECT_EQ(cursor, (DataCursor{0, 2}));
}

}  // namespace
}  // namespace kinglet::train
