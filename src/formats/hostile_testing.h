// Damaged copies of a file's bytes, for tests of parsers. For x_test.cc files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>

namespace kinglet {

/// Calls f with a copy of exactly `bytes`' length, so that a sanitizer sees a read past its end.
template <typename F>
void with_exact_copy(std::string_view bytes, F&& f) {
  const auto copy = std::make_unique<std::byte[]>(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) copy[i] = static_cast<std::byte>(bytes[i]);
  f(std::span<const std::byte>(copy.get(), bytes.size()));
}

/// Every proper prefix of `bytes`.
template <typename F>
void for_each_truncation(std::string_view bytes, F&& f) {
  for (size_t n = 0; n < bytes.size(); ++n) with_exact_copy(bytes.substr(0, n), f);
}

/// `count` copies with one to four bits or bytes changed; the same ones in every run.
template <typename F>
void for_each_flip(std::string_view bytes, int count, F&& f) {
  std::mt19937_64 random(20260115);
  for (int i = 0; i < count; ++i) {
    std::string copy(bytes);
    for (uint64_t n = 1 + random() % 4; n > 0; --n) {
      char& c = copy[random() % copy.size()];
      c = random() % 2 == 0 ? static_cast<char>(c ^ (1 << random() % 8)) : static_cast<char>(random());
    }
    with_exact_copy(copy, f);
  }
}

/// Reads every byte of every tensor's data: a sanitizer sees one that lies outside.
template <typename Tensors>
uint64_t touch_all(const Tensors& tensors) {
  uint64_t sum = 0;
  for (const auto& t : tensors)
    for (const std::byte b : t.data) sum += std::to_integer<uint64_t>(b);
  return sum;
}

}  // namespace kinglet
