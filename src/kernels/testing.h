// What tests that run on every row of kernels share. For x_test.cc files only.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace kinglet {

/// Every row that this processor runs.
inline std::vector<const KernelTable*> available_rows() {
  const KernelRows available = available_kernels();
  return {available.rows, available.rows + available.count};
}

/// Every row, those that this processor lacks too: their tests are skipped by name.
inline std::vector<std::string> kernel_names() {
  std::vector<std::string> out;
  for (const KernelRows& rows : {available_kernels(), unavailable_kernels()})
    for (int i = 0; i < rows.count; ++i) out.emplace_back(rows.rows[i]->name);
  return out;
}

/// The same normal values for a seed every time.
inline std::vector<float> normal_values(int64_t n, uint32_t seed, float deviation = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& x : out) x = normal(random);
  return out;
}

}  // namespace kinglet
