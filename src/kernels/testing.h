// What tests that run on every row of kernels share. For x_test.cc files only.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace kinglet {

/// Every row, those that this processor lacks too: their tests are skipped by name.
inline std::vector<std::string> kernel_names() {
  std::vector<std::string> out;
  for (const KernelRows& rows : {available_kernels(), unavailable_kernels()})
    for (int i = 0; i < rows.count; ++i) out.emplace_back(rows.rows[i]->name);
  return out;
}

}  // namespace kinglet
