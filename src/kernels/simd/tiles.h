// The products of many tokens: they work on slices (see decode.h) that were unpacked to scratch, so that one code does for
// all quantized types of a kind.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace kinglet::simd {

/// Scratch of a worker. Panels are unpacked for kSlices slices of K at a time, few enough to stay in the first-level cache
/// while all tokens of a block pass by; accumulators of the block, tokens by panels, lie beside them.
inline constexpr int kMaxPanels = 2;  ///< of a tile
inline constexpr int kSlices = 16;
inline constexpr int kTokenBlock = 256, kBlockPanels = 8;
inline constexpr size_t kMaxSliceBytes =
    512 + 5 * 64;  ///< 8 quads of weights, up to 2 vectors of scales and 2 of minimums, and a super-block's scale
inline constexpr size_t kSliceScratch = static_cast<size_t>(kMaxPanels * kSlices) * kMaxSliceBytes;
inline constexpr size_t kScratchBytes = kSliceScratch + static_cast<size_t>(kTokenBlock * kBlockPanels) * 64;

/// What distinguishes types once unpacked.
struct SliceKind {
  int halves;  ///< scales in a slice: 1, or one for every 16 values
  bool mins;   ///< with minimums
  int group;   ///< as in Vec::dot; only AVX2 has use for it, and has weights of group 1 as words (see Vec::store_quads)
  int offset_bits;      ///< values are u - (1 << offset_bits) where positive; AVX-512 unpacks all that have one to 7
  bool integer_scales;  ///< unpacked as super_slice_bytes() says; AVX2 alone
};
/// A weight takes value_bytes.
constexpr size_t slice_bytes(int value_bytes, int halves, bool mins) {
  return static_cast<size_t>(512 * value_bytes + 64 * halves * (mins ? 2 : 1));
}

/// Bytes of a slice of a super-block (eight slices) with integer scales: the quads, for each half 64 bytes of scales (each row's twice, as
/// words), then minimums as usual, and in the first slice what the super-block's scales are multiples of. The instruction that widens a
/// slice's sums then multiplies by the scales as well.
constexpr size_t super_slice_bytes(int halves, bool mins) { return slice_bytes(1, halves, mins) + 64; }

/// Adds n slices to the accumulators of T tokens: acc is (T, panels, 16). Slice s of panel r lies at
/// slices + (r * kSlices + s) * slice_bytes; acts is the first token's block of slice 0. `first`: acc starts at zero.
struct TileArgs {
  const uint8_t* slices;
  int panels, n;
  const std::byte* acts;
  size_t act_stride;
  int64_t T;
  float* acc;
  bool first;
};
using MultiplyTiles = void(const SliceKind& kind, const TileArgs& args);
MultiplyTiles multiply_tiles_amx;      ///< one or two panels
MultiplyTiles multiply_tiles_avx512;   ///< one or two panels
MultiplyTiles multiply_tiles_avx2;     ///< one panel
MultiplyTiles multiply_tiles_dotprod;  ///< one panel
MultiplyTiles multiply_tiles_i8mm;     ///< one panel, quads in pairs

}  // namespace kinglet::simd
