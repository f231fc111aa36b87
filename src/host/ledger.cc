#include "host/ledger.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "host/error.h"

namespace kinglet {

std::string_view name(MemoryUse use) {
  switch (use) {
    case MemoryUse::weights:
      return "weights";
    case MemoryUse::packed_weights:
      return "packed weights";
    case MemoryUse::key_values:
      return "keys and values";
    case MemoryUse::activations:
      return "activations";
    case MemoryUse::other:
      return "other";
  }
  return "other";
}

uint64_t Ledger::total_locked() const {
  uint64_t sum = 0;
  for (uint64_t u : used_) sum += u;
  return sum;
}

std::string Ledger::breakdown_locked() const {
  std::string out;
  for (size_t i = 0; i < kMemoryUses; ++i)
    if (used_[i] > 0)
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name(static_cast<MemoryUse>(i)), format_bytes(used_[i]));
  return out.empty() ? "nothing" : out;
}

Status Ledger::reserve(MemoryUse use, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const uint64_t total = total_locked();
  if (bytes > limit_ || total > limit_ - bytes)
    return error(Code::resource_exhausted, "{} more for {} would pass the memory limit of {}; in use: {}",
                 format_bytes(bytes), name(use), format_bytes(limit_), breakdown_locked());
  used_[static_cast<size_t>(use)] += bytes;
  return ok_status();
}

void Ledger::release(MemoryUse use, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  uint64_t& used = used_[static_cast<size_t>(use)];
  used -= std::min(used, bytes);
}

uint64_t Ledger::used(MemoryUse use) const {
  const std::lock_guard lock(mutex_);
  return used_[static_cast<size_t>(use)];
}
uint64_t Ledger::total() const {
  const std::lock_guard lock(mutex_);
  return total_locked();
}
std::string Ledger::breakdown() const {
  const std::lock_guard lock(mutex_);
  return breakdown_locked();
}

Result<uint64_t> parse_bytes(std::string_view text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, text.data() + text.size());
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const size_t power = unit.empty() || unit == "b" ? 0 : std::string_view("bkmgt").find(unit[0]);
  const bool known = power != std::string_view::npos &&
                     (power == 0 || unit.size() == 1 || unit.substr(1) == "b" || unit.substr(1) == "ib");
  const double bytes = value * std::pow(1024.0, static_cast<double>(power));
  if (ec != std::errc() || !known || !(bytes >= 1) || bytes > 1e18)
    return error(Code::invalid_argument, "'{}' is no amount of memory; write 512M or 6G", text);
  return static_cast<uint64_t>(bytes);
}

std::string format_bytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"bytes", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} bytes", bytes)
                   : fmt::format("{:.{}f} {}", value, value < 100 ? 1 : 0, kUnits[unit]);
}

}  // namespace kinglet
