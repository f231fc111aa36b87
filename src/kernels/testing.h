// What tests that run on every row of kernels share. For x_test.cc files only.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/x86/amx_emulator.h"

namespace kinglet {

/// The row of AMX on a processor that lacks it alone: its instructions are emulated from now on. Else null.
inline const KernelTable* emulated_amx() {
#if defined(__x86_64__) && defined(__linux__)
  const KernelRows missing = unavailable_kernels();
  if (missing.count != 1 || std::string(missing.rows[0]->name) != "amx") return nullptr;
  amx::install();
  return missing.rows[0];
#else
  return nullptr;
#endif
}

/// Every row that this processor runs, and one whose instructions can be emulated.
inline std::vector<const KernelTable*> available_rows() {
  const KernelRows available = available_kernels();
  std::vector<const KernelTable*> rows(available.rows, available.rows + available.count);
  if (const KernelTable* amx = emulated_amx()) rows.push_back(amx);
  return rows;
}

/// The rows that this processor lacks, but for one that is emulated.
inline std::vector<std::string> missing_rows() {
  const KernelRows missing = unavailable_kernels();
  std::vector<std::string> out;
  for (int i = 0; i < missing.count; ++i)
    if (missing.rows[i] != emulated_amx()) out.emplace_back(missing.rows[i]->name);
  return out;
}

/// Every row by name; the tests of those that this processor lacks are skipped. An emulated one is left to the tests of products: it
/// gives the bits of the row below, in a thousand times its time.
inline std::vector<std::string> kernel_names() {
  std::vector<std::string> out = missing_rows();
  const KernelRows rows = available_kernels();
  for (int i = rows.count; i-- > 0;) out.insert(out.begin(), rows.rows[i]->name);
  return out;
}

/// Memory that begins at a cache line.
template <class T>
class Aligned {
 public:
  explicit Aligned(size_t size) : memory_(size + 64 / sizeof(T)), size_(size) {}
  T* data() { return memory_.data() + (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64 / sizeof(T); }
  size_t size() const { return size_; }

 private:
  std::vector<T> memory_;
  size_t size_;
};

/// The same normal values for a seed every time.
inline std::vector<float> normal_values(int64_t n, uint32_t seed, float deviation = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& x : out) x = normal(random);
  return out;
}

}  // namespace kinglet
