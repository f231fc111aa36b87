// f32, f16 and bf16 weights with f32 activations: a vector is one K of the rows of a panel, activations are broadcast, every
// output is one chain of fused multiply-adds along K. One of x86/vec_avx512.h,
// x86/vec_avx2.h and arm/vec_neon.h is included before.
#pragma once

#include "kernels/kernels.h"
#include "kernels/simd/unrolled.h"

namespace kinglet {
namespace {

inline constexpr int kFloatPanels = Vec::kFloatPanels;  ///< with kFloatTokens, what the registers hold
/// Rows of activations share cache sets where K is a power of two: stay below the associativity.
inline constexpr int kFloatTokens = 6;

/// bf16 lies in pairs of K, so that a vector is an operand of the instructions that multiply pairs; the others one by one.
template <DType type>
constexpr int kTogether = type == DType::bf16 ? 2 : 1;

/// Value j of those together at `k`, of the part's rows.
template <DType type, int j>
KL_INLINE Vec::F load_weights(const std::byte* panel, int64_t k, int part) {
  const uint8_t* p = reinterpret_cast<const uint8_t*>(panel);
  if constexpr (type == DType::f32) return Vec::floats(p + 64 * k + 64 / Vec::kParts * part);
  else if constexpr (type == DType::f16) return Vec::halves(p + 32 * k + 32 / Vec::kParts * part);
  else {
    const Vec::I pairs = Vec::load(p + 32 * k + 64 / Vec::kParts * part);
    return Vec::as_float(j == 0 ? Vec::left32<16>(pairs) : Vec::and_(pairs, Vec::set32(-0x10000)));
  }
}

/// The last of an odd number of bf16.
KL_INLINE Vec::F load_last(const std::byte* panel, int64_t k, int part) {
  return Vec::as_float(
      Vec::left32<16>(Vec::words(reinterpret_cast<const uint8_t*>(panel) + 32 * k + 32 / Vec::kParts * part)));
}
/// Panels [p, p + R) times tokens [t0, t0 + TT).
template <DType type, int R, int TT>
void float_tile(const MatmulArgs& a, int64_t p, int64_t t0) {
  constexpr int kVectors = R * Vec::kParts;
  const std::byte* panel[R];
  const float* x[TT];
  Vec::F acc[kVectors][TT];
  for (int r = 0; r < R; ++r) panel[r] = a.panels + static_cast<size_t>(p + r) * a.panel_bytes;
  for (int t = 0; t < TT; ++t)
    x[t] = reinterpret_cast<const float*>(a.acts + static_cast<size_t>(t0 + t) * a.act_stride);
  for (int v = 0; v < kVectors; ++v)
    for (int t = 0; t < TT; ++t) acc[v][t] = Vec::zero();
  const auto add_products = [&](int64_t k, auto&& load) __attribute__((always_inline)) {
    Vec::F w[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) w[v] = load(panel[v / Vec::kParts], v % Vec::kParts);
#pragma GCC unroll 8
    for (int t = 0; t < TT; ++t) {
      const Vec::F value = Vec::set(x[t][k]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[v][t] = Vec::fmadd(w[v], value, acc[v][t]);
    }
  };
  constexpr int kStep = kTogether<type>;
  int64_t k = 0;
  for (; k + kStep <= a.K; k += kStep) {
    unrolled<kStep>([&]<int j>() __attribute__((always_inline)) {
      add_products(k + j, [&](const std::byte* at, int part) { return load_weights<type, j>(at, k, part); });
    });
  }
  if (k < a.K) add_products(k, [&](const std::byte* at, int part) { return load_last(at, k, part); });
  for (int t = 0; t < TT; ++t)
    for (int v = 0; v < kVectors; ++v)
      Vec::write_output(a, t0 + t, p * kPanelRows + v * (kPanelRows / Vec::kParts), acc[v][t]);
}

template <DType type, int R>
void all_tokens(const MatmulArgs& a, int64_t p) {
  constexpr void (*kTiles[])(const MatmulArgs&, int64_t, int64_t) = {nullptr,
                                                                     float_tile<type, R, 1>,
                                                                     float_tile<type, R, 2>,
                                                                     float_tile<type, R, 3>,
                                                                     float_tile<type, R, 4>,
                                                                     float_tile<type, R, 5>,
                                                                     float_tile<type, R, 6>};
  const int64_t count = (a.T + kFloatTokens - 1) / kFloatTokens;
  for (int64_t i = 0, t = 0; i < count; ++i) {
    const int64_t end = a.T * (i + 1) / count;
    kTiles[end - t](a, p, t);
    t = end;
  }
}

template <DType type>
void matmul_float(const MatmulArgs& a) {
  int64_t p = a.panel_begin;
  for (; p + kFloatPanels <= a.panel_end; p += kFloatPanels) all_tokens<type, kFloatPanels>(a, p);
  for (; p < a.panel_end; ++p) all_tokens<type, 1>(a, p);
}

template <DType... types>
void fill_float(KernelTable& table) {
  const auto set = [](WeightKernels& w, void (*kernel)(const MatmulArgs&)) {
    w.act = ActKind::f32;
    w.matmul = kernel;
    w.matmul_scratch_bytes = nullptr;
  };
  (set(table.weights[static_cast<size_t>(types)], matmul_float<types>), ...);
}

}  // namespace
}  // namespace kinglet
