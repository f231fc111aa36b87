// What the processor at hand can run, as far as the kernel table asks.
#pragma once

namespace kinglet {

/// A feature counts only where the operating system saves its registers too.
struct CpuFeatures {
  bool avx2 = false;         ///< with FMA, F16C, BMI1 and BMI2
  bool avx512 = false;       ///< F, BW, VL, DQ and VNNI
  bool avx512_bf16 = false;  ///< with the above
  bool amx_int8 = false;     ///< the process was permitted to use tiles
  bool neon = false;         ///< every 64-bit Arm
  bool neon_dotprod = false;
  bool neon_i8mm = false;
};

/// Asks the processor once and remembers.
const CpuFeatures& cpu_features();

namespace internal {
CpuFeatures detect_x86();  ///< x86/cpu_x86.cc
CpuFeatures detect_arm();  ///< arm/cpu_arm.cc
}  // namespace internal

}  // namespace kinglet
