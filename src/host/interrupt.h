// Ctrl-C as a question that a loop asks, in place of the end of the process.
#pragma once

namespace kinglet {

/// While one lives, an interrupt (SIGINT) only makes requested() true. A second one before clear() ends the process as
/// it would have: a loop that does not ask cannot hold the user. One at a time in a process.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  static bool requested();
  static void clear();

 private:
  void (*before_)(int);
};

}  // namespace kinglet
