// What this machine computes fastest with: found by a probe at the first run (a few tenths of a second), remembered in a file.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/kernels.h"

namespace kinglet {

struct Tuning {
  std::string
      processor;  ///< its name, how many of it this process may use, the rows it can run, the version of the probe
  std::string kernels;  ///< row of the kernel table
  int threads = 1;
  int64_t few_tokens = 0;  ///< MatmulArgs::few of that row

  /// Other programs had the processors while it was measured: the best row and all threads were taken.
  bool disturbed = false;
  /// What was measured, for people: "avx512 410 GOP/s", "2 threads 31 GB/s".
  std::vector<std::string> trials;
};

/// Names the processor that this runs on; what makes remembered figures useless changes it.
std::string processor_key();

/// Measures: the rows on a product of many tokens, batch sizes on both ways to multiply, numbers of threads on one that reads memory. A row
/// further down is chosen only where it is clearly faster (results differ in their last bits from row to row), and fewer threads likewise.
Tuning probe_machine();

/// What the file at `path` remembers of this processor, else what a probe finds, which is then written there (a file that cannot be written
/// and a probe that was disturbed only mean another probe next time). An empty path: a probe.
Tuning find_tuning(const std::string& path);

/// What a person should know: that `row` is not the best this processor can run, or that the processor has instructions no row here is
/// made for. Empty where there is nothing to say.
std::string kernel_warning(const KernelTable& row);

}  // namespace kinglet
