#include "train/corpus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "formats/json.h"

namespace kinglet::train {
namespace {

using Ints = std::vector<int32_t>;

Ints counted(int32_t first, int32_t count) {
  Ints out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), first);
  return out;
}

Corpus three_sequences() {
  Corpus corpus;
  corpus.add(counted(0, 5));
  corpus.add(counted(10, 3), Ints{kIgnore, 11, 12});
  corpus.add(counted(20, 4));
  return corpus;
}

TEST(Corpus, WindowsEndSequencesOfABatchWhereDocumentsEnd) {
  const Corpus corpus = three_sequences();
  EXPECT_EQ(corpus.tokens(), 12);
  EXPECT_EQ(corpus.longest(), 5);
  Batch batch;
  corpus.append_to(batch, 3, 10);
  EXPECT_EQ(batch.tokens, (Ints{3, 4, 10, 11, 12, 20, 21}));
  EXPECT_EQ(batch.starts, (Ints{0, 2, 5, 7}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 0, 1, 2, 0, 1}));
  EXPECT_EQ(batch.targets,
            (Ints{4, kIgnore, 11, 12, kIgnore, 21, 22}));  // 22 lies after the window, in the same document
}

TEST(Corpus, SplitsAnywhere) {
  for (int64_t first = 0; first <= 12; ++first) {
    Corpus corpus = three_sequences();
    Batch whole, parts;
    corpus.append_to(whole, 0, 12);
    Corpus rest = corpus.split_off(first);
    EXPECT_EQ(corpus.tokens(), first);
    EXPECT_EQ(rest.tokens(), 12 - first);
    corpus.append_to(parts, 0, first);
    rest.append_to(parts, 0, 12 - first);
    EXPECT_EQ(parts.tokens, whole.tokens);
    const bool inside = first != 0 && first != 5 && first != 8 && first != 12;
    EXPECT_EQ(parts.sequences(), inside ? 4 : 3) << first;
  }
}

TEST(Corpus, NamesTheSequenceOfABadId) {
  Corpus corpus = three_sequences();
  EXPECT_TRUE(corpus.check_ids(24).ok());
  EXPECT_EQ(corpus.check_ids(23).text(), "sequence 3 has the token 23; the vocabulary has 23 tokens");
  corpus.add(Ints{1, 2}, Ints{1, -7});
  EXPECT_EQ(corpus.check_ids(24).text(), "sequence 4 has the label -7; the vocabulary has 24 tokens");
}

TEST(ItemOrder, EveryEpochHasEveryTokenOnce) {
  const Corpus corpus = three_sequences();
  for (const Cut cut : {Cut::sequences, Cut::windows}) {
    for (const Shuffle shuffle : {Shuffle::no, Shuffle::yes}) {
      ItemOrder order(corpus, cut, 4, shuffle, 7);
      for (int64_t epoch = 0; epoch < 6; ++epoch) {
        std::vector<int> seen(12);
        const int64_t items = order.items();
        for (int64_t i = 0; i < items; ++i) {
          const Item item = order.next();
          EXPECT_EQ(order.epoch(), epoch);
          EXPECT_LE(item.length(), 5);
          for (int64_t t = item.begin; t < item.end; ++t) ++seen[static_cast<size_t>(t)];
        }
        EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 12);
        if (items == order.items()) {
          ItemOrder again(corpus, cut, 4, shuffle, 7);
          ASSERT_TRUE(again.restore(order.cursor()).ok());
          ItemOrder straight = order;
          for (int i = 0; i < 9; ++i) {
            const Item a = straight.next(), b = again.next();
            EXPECT_EQ(a.begin, b.begin);
            EXPECT_EQ(a.end, b.end);
          }
        }
        // The next item begins the next epoch; look one ahead on a copy, so that this one's count stays.
        ItemOrder ahead = order;
        (void)ahead.next();
        EXPECT_EQ(ahead.epoch(), epoch + 1);
        ItemOrder stepped(corpus, cut, 4, shuffle, 7);
        ASSERT_TRUE(stepped.restore({{"epoch", static_cast<uint64_t>(epoch + 1)}, {"item", 0u}}).ok());
        order = stepped;
      }
    }
  }
}

TEST(ItemOrder, SeedsGiveDifferentOrders) {
  Corpus corpus;
  for (int32_t i = 0; i < 50; ++i) corpus.add(counted(i, 2));
  const auto firsts = [&](uint64_t seed, int64_t skip) {
    ItemOrder order(corpus, Cut::sequences, 0, Shuffle::yes, seed);
    for (int64_t i = 0; i < skip; ++i) (void)order.next();
    std::vector<int64_t> out;
    for (int i = 0; i < 50; ++i) out.push_back(order.next().begin);
    return out;
  };
  EXPECT_EQ(firsts(1, 0), firsts(1, 0));
  EXPECT_NE(firsts(1, 0), firsts(2, 0));
  EXPECT_NE(firsts(1, 0), firsts(1, 50));
}

TEST(ItemOrder, RefusesAPlaceThatIsNone) {
  const Corpus corpus = three_sequences();
  ItemOrder order(corpus, Cut::sequences, 0, Shuffle::no, 0);
  EXPECT_FALSE(order.restore(Json()).ok());
  EXPECT_FALSE(order.restore({{"epoch", 0u}, {"item", 4u}}).ok());
  EXPECT_FALSE(order.restore({{"epoch", -1}, {"item", 0u}}).ok());
}

}  // namespace
}  // namespace kinglet::train
