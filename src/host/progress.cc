#include "host/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "host/ledger.h"
#include "host/terminal.h"

namespace kinglet {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(150);
constexpr double kMinSeconds = 0.5;  // before it, a rate says little

std::string clock_text(double seconds) {
  const auto total = static_cast<uint64_t>(seconds + 0.5);
  if (total >= 3600) return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
  return fmt::format("{}:{:02}", total / 60, total % 60);
}

}  // namespace

Progress::Progress(std::string label, uint64_t total, Unit unit)
    : label_(std::move(label)), total_(total), unit_(unit), terminal_(is_terminal(stderr)) {}

Progress::~Progress() {
  if (!drawn_) return;
  draw();
  std::fputc('\n', stderr);
}

void Progress::set_label(std::string label) { label_ = std::move(label); }

void Progress::update(uint64_t done) {
  const auto now = std::chrono::steady_clock::now();
  if (!started_) {
    started_ = true;
    started_at_ = done;
    start_ = now;
  }
  done_ = done;
  if (!terminal_ || (drawn_ && now - last_draw_ < kRedraw)) return;
  last_draw_ = now;
  draw();
}

void Progress::draw() {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  drawn_ = true;
  fmt::print(stderr, "\r{}\033[K", line(seconds, terminal_columns(stderr, 80)));
  std::fflush(stderr);
}

std::string Progress::line(double seconds, int width) const {
  const auto amount = [this](uint64_t n) { return unit_ == Unit::bytes ? format_bytes(n) : std::to_string(n); };
  const double rate = seconds > 0 ? static_cast<double>(done_ - std::min(done_, started_at_)) / seconds : 0;
  std::string numbers = total_ > 0 ? fmt::format("{} of {}", amount(done_), amount(total_)) : amount(done_);
  if (seconds >= kMinSeconds && rate > 0) {
    numbers += unit_ == Unit::bytes ? fmt::format("  {}/s", format_bytes(static_cast<uint64_t>(rate)))
                                    : fmt::format("  {:.1f}/s", rate);
    if (total_ > done_) numbers += fmt::format("  {} left", clock_text(static_cast<double>(total_ - done_) / rate));
  }
  std::string out = label_ + "  ";
  const int room = width - 1 - static_cast<int>(out.size() + numbers.size()) - 4;
  if (total_ > 0 && room >= 8) {
    const int cells = std::min(room, 40);
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    const auto full = static_cast<size_t>(share * cells);
    out += "[" + std::string(full, '#') + std::string(static_cast<size_t>(cells) - full, '.') + "]  ";
  }
  out += numbers;
  if (static_cast<int>(out.size()) > width - 1) out.resize(static_cast<size_t>(std::max(width - 1, 0)));
  return out;
}

}  // namespace kinglet
