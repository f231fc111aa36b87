#include "base/cpu.h"

namespace kinglet {
namespace {

CpuFeatures detect() {
#if defined(__x86_64__)
  return internal::detect_x86();
#elif defined(__aarch64__)
  return internal::detect_arm();
#else
  return {};
#endif
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace kinglet
