// A thread that does one thing after the other.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace kinglet::server {

class WorkThread {
 public:
  WorkThread() : thread_([this] { run(); }) {}
  ~WorkThread() { stop(); }

  /// Any thread. False: it has been stopped, and `work` is not done.
  bool post(std::function<void()> work);
  /// All that was posted is done when this returns; nothing more is taken.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::thread thread_;  ///< the last: it uses all of the above
};

}  // namespace kinglet::server
