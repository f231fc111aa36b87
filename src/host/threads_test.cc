#include "host/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace kinglet {
namespace {

class Threads : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Counts, Threads, testing::Values(1, 2, 3, 4, 8));

TEST_P(Threads, EveryChunkRunsOnce) {
  ThreadPool pool(GetParam());
  const Parallel parallel = pool.parallel();
  EXPECT_EQ(parallel.workers, GetParam());
  for (const int64_t chunks : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<int> runs(static_cast<size_t>(chunks));  // plain: two threads on one chunk would be a race
    std::atomic<bool> worker_in_range = true;
    parallel.for_each(chunks, [&](int64_t chunk, int worker) {
      ++runs[static_cast<size_t>(chunk)];
      if (worker < 0 || worker >= parallel.workers) worker_in_range = false;
    });
    EXPECT_TRUE(worker_in_range);
    for (const int n : runs) ASSERT_EQ(n, 1);
  }
}

// What one run wrote the next one reads, on whatever thread; each worker has its own place at any time.
TEST_P(Threads, ManyTinyRuns) {
  ThreadPool pool(GetParam());
  const Parallel parallel = pool.parallel();
  std::vector<int64_t> values(6), per_worker(static_cast<size_t>(GetParam()));
  constexpr int kRuns = 20000;
  for (int run = 0; run < kRuns; ++run) {
    parallel.for_each(6, [&](int64_t chunk, int worker) {
      ++values[static_cast<size_t>(5 - chunk)];
      ++per_worker[static_cast<size_t>(worker)];
    });
    std::rotate(values.begin(), values.begin() + 1, values.end());
  }
  for (const int64_t v : values) EXPECT_EQ(v, kRuns);
  EXPECT_EQ(std::accumulate(per_worker.begin(), per_worker.end(), int64_t{0}), 6 * kRuns);
}

TEST_P(Threads, WakesAfterSleep) {
  ThreadPool pool(GetParam());
  const Parallel parallel = pool.parallel();
  for (int run = 0; run < 20; ++run) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int> sum = 0;
    parallel.for_each(8, [&](int64_t chunk, int) {
      if (chunk == 7) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the caller may have to sleep too
      sum += static_cast<int>(chunk);
    });
    EXPECT_EQ(sum, 28);
  }
}

TEST_P(Threads, NestedRunsStayOnTheirWorker) {
  ThreadPool pool(GetParam());
  const Parallel parallel = pool.parallel();
  std::atomic<int> inner_runs = 0;
  std::atomic<bool> same_worker = true;
  parallel.for_each(10, [&](int64_t, int worker) {
    parallel.for_each(5, [&](int64_t, int inner_worker) {
      ++inner_runs;
      if (inner_worker != worker) same_worker = false;
    });
  });
  EXPECT_EQ(inner_runs, 50);
  EXPECT_TRUE(same_worker);
}

TEST_P(Threads, CallersTakeTurns) {
  ThreadPool pool(GetParam());
  std::vector<std::thread> callers;
  std::vector<int64_t> per_worker(static_cast<size_t>(GetParam()));
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([&] {
      const Parallel parallel = pool.parallel();
      for (int run = 0; run < 500; ++run)
        parallel.for_each(4, [&](int64_t, int worker) { ++per_worker[static_cast<size_t>(worker)]; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(std::accumulate(per_worker.begin(), per_worker.end(), int64_t{0}), 3 * 500 * 4);
}

// Each run ends only when two threads are inside it at once, so helpers do take part, awake or asleep.
TEST(Threads, HelpersTakePart) {
  ThreadPool pool(2);
  for (int run = 0; run < 300; ++run) {
    if (run % 100 == 99) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int> inside = 0;
    std::vector<int> worker_of(2);
    pool.parallel().for_each(2, [&](int64_t chunk, int worker) {
      worker_of[static_cast<size_t>(chunk)] = worker;
      ++inside;
      while (inside < 2) std::this_thread::yield();
    });
    EXPECT_NE(worker_of[0], worker_of[1]);
  }
}

// A pool inside a body of another pool works too.
TEST(Threads, PoolsWithinPools) {
  ThreadPool outer(2), inner(3);
  std::atomic<int> runs = 0;
  outer.parallel().for_each(4, [&](int64_t, int) { inner.parallel().for_each(4, [&](int64_t, int) { ++runs; }); });
  EXPECT_EQ(runs, 16);
}

TEST(Threads, AvailableIsPositive) { EXPECT_GE(ThreadPool::available(), 1); }

}  // namespace
}  // namespace kinglet
