// What tests that run on every row of kernels share. For x_test.cc files only.
#pragma once

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

}  // namespace kinglet
