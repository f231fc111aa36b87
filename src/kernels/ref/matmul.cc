// The reference matrix product: canonical rows, f32 activations, one order of operations for every type: each block of a
// weight row is dequantized and its products are added one by one along K.
#include <cstring>

#include "kernels/rows.h"
#include "tensor/dtype.h"

namespace kinglet {
namespace {

constexpr int64_t kChunk = 256;  ///< values dequantized at a time: a whole number of blocks of every type

/// sum_k w[k] x[k] of one row (K).
float dot_row(DequantizeRow dequantize, const std::byte* row, const DTypeInfo& type, const float* x, int64_t K) {
  float w[kChunk];
  float sum = 0;
  for (int64_t k = 0; k < K; k += kChunk) {
    const int64_t n = K - k < kChunk ? K - k : kChunk;
    dequantize(row + k / type.block_values * type.block_bytes, n, w);
    for (int64_t i = 0; i < n; ++i) sum += w[i] * x[k + i];
  }
  return sum;
}

template <DType type>
void matmul(const MatmulArgs& a) {
  const DTypeInfo& t = info(type);
  const DequantizeRow dequantize = dequantize_row(type);
  const size_t row_bytes = static_cast<size_t>(a.K / t.block_values) * t.block_bytes;
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    const std::byte* rows = a.panels + static_cast<size_t>(panel) * a.panel_bytes;
    for (int64_t n = panel * kPanelRows; n < a.N && n < (panel + 1) * kPanelRows; ++n, rows += row_bytes) {
      for (int64_t token = 0; token < a.T; ++token) {
        const float* x = reinterpret_cast<const float*>(a.acts + static_cast<size_t>(token) * a.act_stride);
        const float y = dot_row(dequantize, rows, t, x, a.K) + (a.bias != nullptr ? a.bias[n] : 0.0f);
        float& out = a.out[token * a.out_stride + n];
        out = a.epilogue == Epilogue::add ? out + y : y;
      }
    }
  }
}

template <DType type>
size_t canonical_row_bytes(int64_t K) {
  return static_cast<size_t>(K / info(type).block_values) * info(type).block_bytes;
}

template <DType type>
void pack(const std::byte* rows, size_t row_bytes, int n_rows, int64_t K, std::byte* panel) {
  const size_t bytes = canonical_row_bytes<type>(K);
  for (int r = 0; r < n_rows; ++r, panel += bytes) std::memcpy(panel, rows + static_cast<size_t>(r) * row_bytes, bytes);
  std::memset(panel, 0, static_cast<size_t>(kPanelRows - n_rows) * bytes);
}

template <DType type>
void unpack(const std::byte* panel, int64_t K, int n_rows, std::byte* rows, size_t row_bytes) {
  const size_t bytes = canonical_row_bytes<type>(K);
  for (int r = 0; r < n_rows; ++r, panel += bytes) std::memcpy(rows + static_cast<size_t>(r) * row_bytes, panel, bytes);
}

template <DType type>
void fill(KernelTable& table) {
  table.weights[static_cast<size_t>(type)] = {ActKind::f32, pack<type>, unpack<type>, matmul<type>, nullptr, true};
}

}  // namespace

void fill_ref_weights(KernelTable& table) {
  fill<DType::f32>(table);
  fill<DType::f16>(table);
  fill<DType::bf16>(table);
  fill<DType::q4_0>(table);
  fill<DType::q4_1>(table);
  fill<DType::q5_0>(table);
  fill<DType::q5_1>(table);
  fill<DType::q8_0>(table);
  fill<DType::q2_k>(table);
  fill<DType::q3_k>(table);
  fill<DType::q4_k>(table);
  fill<DType::q5_k>(table);
  fill<DType::q6_k>(table);
  fill<DType::iq4_nl>(table);
  fill<DType::iq4_xs>(table);
  fill_ref_activations(table);
}

}  // namespace kinglet
