// Reads little-endian numbers and lengths from bytes that someone else wrote: every step is checked against the end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace kinglet {

static_assert(std::endian::native == std::endian::little, "files are read in place as little-endian numbers");

class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  /// The next number; false (and nothing read) where the bytes end before it does.
  template <typename T>
  requires std::is_arithmetic_v<T>
  [[nodiscard]] bool read(T& out) {
    static_assert(!std::is_same_v<T, bool>, "read a byte and check it");
    if (remaining() < sizeof(T)) return false;
    std::memcpy(&out, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  /// The next `count` bytes.
  [[nodiscard]] bool take(uint64_t count, std::span<const std::byte>& out) {
    if (count > remaining()) return false;
    out = bytes_.subspan(position_, static_cast<size_t>(count));
    position_ += static_cast<size_t>(count);
    return true;
  }

  /// A 64-bit length and that many bytes.
  [[nodiscard]] bool read_string(std::string_view& out) {
    uint64_t size = 0;
    std::span<const std::byte> bytes;
    if (!read(size) || !take(size, bytes)) return false;
    out = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t position_ = 0;
};

}  // namespace kinglet
