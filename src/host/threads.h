// A pool of threads behind base/parallel.h: chunks are claimed one by one from a counter, so a slow or sleeping thread
// delays nobody; whoever calls takes part. Idle threads spin for a moment, since the next step of a model comes within
// microseconds, and then sleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/parallel.h"

namespace kinglet {

class ThreadPool {
 public:
  /// `threads` counts the caller (at least 1): threads - 1 are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

  /// A view of this pool, good as long as the pool lives. Any thread may call it; calls from several threads take
  /// turns. A call from inside a body runs its chunks in place, as the worker that the body runs on. Bodies do not
  /// throw.
  Parallel parallel() { return {&ThreadPool::run, this, threads()}; }

  /// Threads that this process may run at once (its processor affinity and its container's quota where the
  /// system has them), at least 1.
  static int available();

 private:
  static void run(void* self, int64_t chunks, Parallel::Body body, void* context);
  void publish(int64_t chunks, Parallel::Body body, void* context);
  void help(int worker);
  void work(int worker);
  bool wait_for_work();
  void wait_for_finish();

  // What is run now. Written by the caller before it sets unclaimed_, read by whoever claimed a chunk, and not written
  // again before that chunk is finished.
  Parallel::Body body_ = nullptr;
  void* context_ = nullptr;
  int64_t chunks_ = 0;

  // Counts down; a claim is good where it finds more than 0. A helper that comes late finds 0 or less, or takes part in
  // the next run: both are right, so there is no barrier at the start of a run.
  alignas(64) std::atomic<int64_t> unclaimed_{0};
  alignas(64) std::atomic<int64_t> unfinished_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};

  bool oversubscribed_;
  std::mutex callers_;  ///< held for a run: one at a time
  std::mutex mutex_;    ///< for going to sleep only
  std::condition_variable wake_helpers_, wake_caller_;
  std::vector<std::thread> helpers_;
};

}  // namespace kinglet
