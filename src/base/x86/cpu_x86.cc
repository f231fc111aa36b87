#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdint>

#include "base/cpu.h"

namespace kinglet::internal {
namespace {

struct CpuidResult {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// Zeros where the processor does not have the leaf.
CpuidResult cpuid(uint32_t leaf, uint32_t subleaf) {
  CpuidResult r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

/// Which register states the operating system saves (XCR0); call only where CPUID says OSXSAVE.
uint64_t saved_states() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

/// Asks Linux for the tile registers, which it gives to a process only then (Documentation/arch/x86/xstate.rst).
bool permitted_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

constexpr bool bit(uint32_t word, int i) { return ((word >> i) & 1u) != 0; }

}  // namespace

CpuFeatures detect_x86() {
  CpuFeatures f;
  const CpuidResult one = cpuid(1, 0);
  if (!bit(one.ecx, 27)) return f;  // no OSXSAVE
  const uint64_t saved = saved_states();
  const auto saves = [saved](uint64_t mask) { return (saved & mask) == mask; };
  const CpuidResult seven = cpuid(7, 0);
  const CpuidResult seven_one = seven.eax >= 1 ? cpuid(7, 1) : CpuidResult{};

  const bool fma = bit(one.ecx, 12), avx = bit(one.ecx, 28), f16c = bit(one.ecx, 29);
  const bool bmi1 = bit(seven.ebx, 3), avx2 = bit(seven.ebx, 5), bmi2 = bit(seven.ebx, 8);
  f.avx2 = saves(0x6) && avx && avx2 && fma && f16c && bmi1 && bmi2;  // SSE and AVX state

  const bool avx512f = bit(seven.ebx, 16), dq = bit(seven.ebx, 17), bw = bit(seven.ebx, 30), vl = bit(seven.ebx, 31);
  const bool vnni = bit(seven.ecx, 11);
  f.avx512 = f.avx2 && saves(0xe6) && avx512f && dq && bw && vl && vnni;  // and masks, upper halves, registers 16 to 31
  f.avx512_bf16 = f.avx512 && bit(seven_one.eax, 5);

  f.amx_int8 = saves(0x60000) && bit(seven.edx, 24) && bit(seven.edx, 25) && permitted_tiles();
  return f;
}

}  // namespace kinglet::internal
