// Packed panels (kernels/panels.h) of quantized weights back to f32 rows, a few values at a time, for the products that read frozen
// weights backward. The same values as dequantize_row gives, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace kinglet::train {

/// The 16 rows of a panel, K values of each (whole blocks): row r to out[r * out_row ..]. `panel` points at the first block.
using DecodePanel = void (*)(const std::byte* panel, int64_t K, float* out, int64_t out_row);

/// Of a row of kernels; null: there is none for this type, and WeightKernels::unpack does it.
DecodePanel panel_decoder(const KernelTable& row, DType type);

DecodePanel panel_decoder_avx2(DType type);
DecodePanel panel_decoder_avx512(DType type);

}  // namespace kinglet::train
