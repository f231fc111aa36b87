// The AVX-512 VNNI product of many tokens: works on slices (see decode_avx512.h) that were unpacked to scratch, one code for
// all quantized types.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace kinglet::avx512 {

/// Scratch of a worker. Two panels are unpacked for kSlices slices of K at a time, small enough to stay in the first-level
/// cache while all tokens of a block pass by; accumulators of the token block lie beside them.
inline constexpr int kPanels = 2;
inline constexpr int kSlices = 16;
inline constexpr int kTokenBlock = 128;
inline constexpr size_t kMaxSliceBytes = 512 + 4 * 64;  ///< 8 vectors of weights, up to 2 of scales and 2 of minimums
inline constexpr size_t kSliceScratch = static_cast<size_t>(kPanels * kSlices) * kMaxSliceBytes;
inline constexpr size_t kScratchBytes = kSliceScratch + static_cast<size_t>(kTokenBlock * kPanels) * 64;

/// What distinguishes types once unpacked: every byte is w + 128, or with minimums u itself.
struct SliceKind {
  int halves;  ///< scales in a slice: 1, or one for every 16 values
  bool mins;
};
constexpr size_t slice_bytes(SliceKind k) { return 512 + static_cast<size_t>(64 * k.halves * (k.mins ? 2 : 1)); }

/// Adds n slices to the accumulators of T tokens: acc is (T, panels, 16). Slice s of panel r lies at
/// slices + (r * kSlices + s) * slice_bytes(kind); acts is the first token's block of slice 0. `first`: acc starts at zero.
struct TileArgs {
  const uint8_t* slices;
  int panels, n;
  const std::byte* acts;
  size_t act_stride;
  int64_t T;
  float* acc;
  bool first;
};
void multiply_tiles(SliceKind kind, const TileArgs& args);

}  // namespace kinglet::avx512
