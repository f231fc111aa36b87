// The quantizers that search for their scales, one row of n values each (a QuantizeRow).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kinglet {

void quantize_q2_k(const float* x, int64_t n, std::byte* blocks);
void quantize_q3_k(const float* x, int64_t n, std::byte* blocks);
void quantize_q4_k(const float* x, int64_t n, std::byte* blocks);
void quantize_q5_k(const float* x, int64_t n, std::byte* blocks);
void quantize_q6_k(const float* x, int64_t n, std::byte* blocks);
void quantize_iq4_nl(const float* x, int64_t n, std::byte* blocks);
void quantize_iq4_xs(const float* x, int64_t n, std::byte* blocks);

}  // namespace kinglet
