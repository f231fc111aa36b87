// What tests on the decoder fixtures share. For x_test.cc files only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>

#include "kernels/testing.h"

namespace kinglet {

/// Each decoder fixture on each row of kernels.
inline auto decoders_and_kernels() {
  return testing::Combine(testing::Values("llama-3.2", "mistral-7b-v0.1", "phi-3-mini-4k", "phi-3-mini-128k", "phi-4",
                                          "phi-4-mini", "granite-3.2", "gemma-3", "qwen2.5", "qwen3"),
                          testing::ValuesIn(kernel_names()));
}

inline std::string decoder_and_kernel_name(
    const testing::TestParamInfo<std::tuple<std::string, std::string>>& param_info) {
  std::string name = std::get<0>(param_info.param) + "_" + std::get<1>(param_info.param);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
}

}  // namespace kinglet
