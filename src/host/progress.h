// A progress bar with rate and time left, on a terminal only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace kinglet {

/// One bar on standard error while it lives. Where standard error is no terminal it prints nothing at all.
/// Not for several threads at once.
class Progress {
 public:
  enum class Unit : uint8_t { bytes, items };

  /// `total` 0: not known; then only what is done is shown.
  Progress(std::string label, uint64_t total, Unit unit = Unit::bytes);
  ~Progress();  ///< leaves the cursor on a line of its own
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void set_label(std::string label);
  void set_total(uint64_t total) { total_ = total; }
  /// `done` so far; redraws a few times a second.
  void update(uint64_t done);
  void advance(uint64_t more) { update(done_ + more); }

  /// What a terminal of `width` columns would show after `seconds`; for tests.
  std::string line(double seconds, int width) const;

 private:
  void draw();

  std::string label_;
  uint64_t total_;
  Unit unit_;
  uint64_t done_ = 0;
  uint64_t started_at_ = 0;  ///< what was done at the first update: the rate counts from there
  bool started_ = false;
  bool drawn_ = false;
  bool terminal_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_draw_;
};

/// What a long task calls with what is done and what there is in all, shown by `bar`, which must outlive it.
inline auto show_on(Progress& bar) {
  return [&bar](uint64_t done, uint64_t total) {
    bar.set_total(total);
    bar.update(done);
  };
}

}  // namespace kinglet
