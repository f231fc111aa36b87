#include "host/threads.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <cmath>
#include <fstream>

#if defined(__linux__)
#include <sched.h>
#endif

namespace kinglet {
namespace {

// Steps of a model follow each other within about 20 us; a thread that was put to sleep takes 50 us or more to come
// back.
constexpr std::chrono::microseconds kSpin{50};
// Then the processor is offered to others between two looks, in case what is waited for needs it.
constexpr std::chrono::microseconds kSpinWithoutYield{5};

/// The pool whose body this thread is running, and as which worker.
thread_local const void* current_pool = nullptr;
thread_local int current_worker = 0;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Looks until `ready()` or kSpin is over; true where it became ready.
template <typename Ready>
bool spin(bool oversubscribed, const Ready& ready) {
  if (ready()) return true;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < 16; ++i) {
      pause();
      if (ready()) return true;
    }
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited > kSpin) return false;
    if (oversubscribed || waited > kSpinWithoutYield) std::this_thread::yield();
  }
}

}  // namespace

#if defined(__linux__)
namespace {
/// Processors' worth of time that a container may use, by the unified hierarchy of control groups; no limit where none is set.
int quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");  // "max 100000", or microseconds of each period
  double limit = 0, period = 0;
  if (!(file >> limit >> period) || limit <= 0 || period <= 0) return INT_MAX;
  return static_cast<int>(std::clamp(std::ceil(limit / period), 1.0, 1e6));
}
}  // namespace
#endif

int ThreadPool::available() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::clamp(CPU_COUNT(&set), 1, quota());
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

ThreadPool::ThreadPool(int threads) : oversubscribed_(threads > available()) {
  for (int worker = 1; worker < threads; ++worker) helpers_.emplace_back([this, worker] { help(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  wake_helpers_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::run(void* self, int64_t chunks, Parallel::Body body, void* context) {
  auto& pool = *static_cast<ThreadPool*>(self);
  if (current_pool == self) {  // from inside a body
    for (int64_t i = 0; i < chunks; ++i) body(context, i, current_worker);
    return;
  }
  const std::lock_guard turn(pool.callers_);
  const void* const outer_pool = current_pool;
  const int outer_worker = current_worker;
  current_pool = self;
  current_worker = 0;
  if (chunks <= 1 || pool.helpers_.empty()) {
    for (int64_t i = 0; i < chunks; ++i) body(context, i, 0);
  } else {
    pool.publish(chunks, body, context);
    pool.work(0);
    pool.wait_for_finish();
  }
  current_pool = outer_pool;
  current_worker = outer_worker;
}

void ThreadPool::publish(int64_t chunks, Parallel::Body body, void* context) {
  body_ = body;
  context_ = context;
  chunks_ = chunks;
  unfinished_.store(chunks, std::memory_order_relaxed);
  unclaimed_.store(chunks);  // sequentially consistent with sleepers_: either we see a sleeper or it sees the chunks
  const int asleep = sleepers_.load();
  if (asleep == 0) return;
  { const std::lock_guard lock(mutex_); }  // who is about to sleep has either seen the chunks or waits by now
  if (chunks - 1 < asleep) {
    for (int64_t i = 0; i < chunks - 1; ++i) wake_helpers_.notify_one();
  } else {
    wake_helpers_.notify_all();
  }
}

/// Claims chunks until none is left.
void ThreadPool::work(int worker) {
  int64_t done = 0;
  for (;;) {
    const int64_t left = unclaimed_.fetch_sub(1, std::memory_order_acq_rel);
    if (left <= 0) break;
    body_(context_, chunks_ - left, worker);
    ++done;
    if (left == 1) break;  // that was the last
  }
  if (done == 0) return;
  if (unfinished_.fetch_sub(done) == done && caller_sleeps_.load()) {
    { const std::lock_guard lock(mutex_); }
    wake_caller_.notify_one();
  }
}

void ThreadPool::help(int worker) {
  current_pool = this;
  current_worker = worker;
  while (wait_for_work()) work(worker);
}

/// False when the pool ends.
bool ThreadPool::wait_for_work() {
  const auto ready = [this] {
    return unclaimed_.load(std::memory_order_relaxed) > 0 || stop_.load(std::memory_order_relaxed);
  };
  if (!spin(oversubscribed_, ready)) {
    std::unique_lock lock(mutex_);
    sleepers_.fetch_add(1);
    wake_helpers_.wait(lock, [this] { return unclaimed_.load() > 0 || stop_.load(); });
    sleepers_.fetch_sub(1);
  }
  return !stop_.load();
}

void ThreadPool::wait_for_finish() {
  const auto finished = [this] { return unfinished_.load(std::memory_order_acquire) == 0; };
  if (spin(oversubscribed_, finished)) return;
  std::unique_lock lock(mutex_);
  caller_sleeps_.store(true);
  wake_caller_.wait(lock, [this] { return unfinished_.load() == 0; });
  caller_sleeps_.store(false);
}

}  // namespace kinglet
