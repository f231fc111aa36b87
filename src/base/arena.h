// A bump allocator over memory that the caller owns: the core ring's only way to get arrays, all of them while planning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>

#include "base/checked.h"

namespace kinglet {

class Arena {
 public:
  explicit Arena(std::span<std::byte> memory) : memory_(memory) {}

  /// `count` value-initialized elements; empty where the memory is used up (see ok()).
  template <typename T>
  std::span<T> array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    const auto address = reinterpret_cast<uintptr_t>(memory_.data()) + used_;
    const size_t padding = (alignof(T) - address % alignof(T)) % alignof(T);
    const auto bytes = checked_mul<size_t>(count, sizeof(T));
    if (!bytes || padding > memory_.size() - used_ || *bytes > memory_.size() - used_ - padding) {
      ok_ = false;
      return {};
    }
    T* first = reinterpret_cast<T*>(memory_.data() + used_ + padding);
    used_ += padding + *bytes;
    for (size_t i = 0; i < count; ++i) ::new (static_cast<void*>(first + i)) T();
    return {first, count};
  }
  bool ok() const { return ok_; }
  size_t used() const { return used_; }

 private:
  std::span<std::byte> memory_;
  size_t used_ = 0;
  bool ok_ = true;
};

}  // namespace kinglet
