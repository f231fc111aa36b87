// NormalFloat-4 with double quantization: frozen weights of four and an eighth bits.
// Source: Dettmers et al. 2023, "QLoRA" (arXiv 2305.14314), section 3 and appendix E: blocks of 64 values share a scale,
// their largest magnitude; scales less their mean are 8-bit floats, blocks of 256 of which share an f32.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "kernels/kernels.h"

namespace kinglet::train {

inline constexpr int64_t kNf4Block = 64;        ///< values that share a scale
inline constexpr int64_t kNf4ScaleBlock = 256;  ///< scales that share an f32

/// A matrix (N, K) of whole blocks; the memory is somebody else's.
struct Nf4Matrix {
  const uint8_t* codes = nullptr;   ///< two values a byte, the first in the low half
  const uint8_t* scales = nullptr;  ///< of each block
  const float* scale_scales = nullptr;
  float mean = 0;  ///< of the scales
  int64_t K = 0;

  bool empty() const { return codes == nullptr; }
  /// `n` values (whole blocks) of a row from a column (a block's first) on.
  void decode(int64_t row, int64_t column, int64_t n, float* out) const;
};

/// Bytes of a matrix (N, K), a multiple of 64.
uint64_t nf4_bytes(int64_t N, int64_t K);

/// Quantizes a matrix (N, K) of `type` into `to` (nf4_bytes); K is a multiple of kNf4Block. Any number of threads gives the
/// same bytes. The mean is not finite where a value is not.
struct Nf4Source {
  const std::byte* rows = nullptr;
  size_t row_bytes = 0;
  DequantizeRow convert = nullptr;
  int64_t N = 0, K = 0;
};
Nf4Matrix quantize_nf4(const Nf4Source& source, const Parallel& parallel, std::byte* to);

/// The sixteen values, ascending from -1 to 1.
std::span<const float, 16> nf4_values();

}  // namespace kinglet::train
