// Matrix products of quantized weights with int8 activations on AVX-512 VNNI, as templates over the decoders. Few tokens:
// the panel is decoded in registers as it streams by. Many: it is unpacked once for a block of tokens (gemm_avx512.h).
#pragma once

#include <utility>

#include "kernels/act_block.h"
#include "kernels/kernels.h"
#include "kernels/x86/decode_avx512.h"
#include "kernels/x86/gemm_avx512.h"
#include "kernels/x86/output_avx512.h"

namespace kinglet {
namespace {

inline constexpr int kDirectTokens = 16;  ///< up to here decoding in registers is faster

/// acc[t] += one slice times the activations of TT tokens.
template <typename D, int TT>
KL_INLINE void multiply_slice(const __m512i w[8], const SliceScales& s, const ActBlock* const x[TT], __m512 acc[TT]) {
  __m512 sum[TT];
#pragma GCC unroll 2
  for (int half = 0; half < D::kHalves; ++half) {
    __m512i dot[TT];
#pragma GCC unroll 8
    for (int t = 0; t < TT; ++t) {
      const __m512i bias = _mm512_set1_epi32(D::kHalves == 1 ? x[t]->bias : x[t]->bias16[half]);
      dot[t] = D::kOffsetBits == 0 ? _mm512_setzero_si512() : D::kOffsetBits == 7 ? bias : _mm512_srai_epi32(bias, 7 - D::kOffsetBits);
    }
#pragma GCC unroll 8
    for (int i = 8 / D::kHalves * half; i < 8 / D::kHalves * (half + 1); ++i) {
#pragma GCC unroll 8
      for (int t = 0; t < TT; ++t)
        dot[t] = _mm512_dpbusd_epi32(dot[t], w[i], _mm512_set1_epi32(reinterpret_cast<const int32_t*>(x[t]->q)[i]));
    }
#pragma GCC unroll 8
    for (int t = 0; t < TT; ++t) {
      const __m512 f = _mm512_cvtepi32_ps(dot[t]);
      sum[t] = half == 0 ? _mm512_mul_ps(f, s.scale[0]) : _mm512_fmadd_ps(f, s.scale[1], sum[t]);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < TT; ++t) {
    acc[t] = _mm512_fmadd_ps(sum[t], _mm512_set1_ps(x[t]->scale), acc[t]);
    if constexpr (D::kMins) {
      const float* sums = D::kHalves == 1 ? &x[t]->scaled_sum : x[t]->scaled_sum16;
#pragma GCC unroll 2
      for (int half = 0; half < D::kHalves; ++half)
        acc[t] = _mm512_fnmadd_ps(s.min[half], _mm512_set1_ps(sums[half]), acc[t]);
    }
  }
}

/// Calls f.template operator()<s>() for s in [0, n).
template <int n, typename F>
KL_INLINE void unrolled(F&& f) {
  [&]<int... s>(std::integer_sequence<int, s...>) __attribute__((always_inline)) { (f.template operator()<s>(), ...); }
  (std::make_integer_sequence<int, n>{});
}

/// How far ahead of its reading a panel is fetched. A super-block is read in several passes that the processor's own
/// prefetcher does not follow (Q6_K: 8 GB/s without, 18 with); panels follow each other, so running past one's end is wanted.
inline constexpr size_t kFetchAhead = 8192;

/// Fetches the s-th of `parts` equal parts of what lies kFetchAhead beyond the block, to the second-level cache. Volatile,
/// since the compiler would gather the prefetches of a block in one place, where they wait for each other.
template <size_t bytes, int parts, int s>
KL_INLINE void fetch_ahead(const uint8_t* block) {
  constexpr size_t kFirst = bytes / 64 * s / parts;
  constexpr size_t kLast = s + 1 == parts ? (bytes + 63) / 64 : bytes / 64 * (s + 1) / parts;
#pragma GCC unroll 64
  for (size_t line = kFirst; line < kLast; ++line) asm volatile("prefetcht1 (%0)" ::"r"(block + kFetchAhead + 64 * line));
}

/// Tokens [t0, t0 + TT) times one panel.
template <typename D, int TT>
void multiply_direct(const MatmulArgs& a, int64_t p, int64_t t0) {
  const uint8_t* block = reinterpret_cast<const uint8_t*>(a.panels) + static_cast<size_t>(p) * a.panel_bytes;
  const ActBlock* x[TT];
  __m512 acc[TT];
  for (int t = 0; t < TT; ++t) {
    x[t] = reinterpret_cast<const ActBlock*>(a.acts + static_cast<size_t>(t0 + t) * a.act_stride);
    acc[t] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < a.K; k += kActBlock * D::kSlices, block += D::kBytes) {
    const auto header = D::header(block);
    unrolled<D::kSlices>([&]<int s>() __attribute__((always_inline)) {
      fetch_ahead<D::kBytes, D::kSlices, s>(block);
      __m512i w[8];
      SliceScales scales;
      D::template slice<s>(block, header, w, scales);
      multiply_slice<D, TT>(w, scales, x, acc);
      for (int t = 0; t < TT; ++t) ++x[t];
    });
  }
  for (int t = 0; t < TT; ++t) write_output(a, t0 + t, p * kPanelRows, acc[t]);
}

/// A few tokens, in groups of nearly equal size while the panel is in the cache.
template <typename D>
void multiply_few(const MatmulArgs& a) {
  constexpr void (*kGroups[])(const MatmulArgs&, int64_t, int64_t) = {
      nullptr, multiply_direct<D, 1>, multiply_direct<D, 2>, multiply_direct<D, 3>, multiply_direct<D, 4>};
  const int64_t groups = (a.T + 3) / 4;
  for (int64_t p = a.panel_begin; p < a.panel_end; ++p) {
    for (int64_t i = 0, t = 0; i < groups; ++i) {
      const int64_t end = a.T * (i + 1) / groups;
      kGroups[end - t](a, p, t);
      t = end;
    }
  }
}

/// `n` slices from slice `first` of a panel to scratch, in the form gemm_avx512.h describes. Both are whole blocks.
template <typename D>
void unpack_slices(const uint8_t* panel, int64_t first, int n, uint8_t* out) {
  constexpr size_t kStride = avx512::slice_bytes({D::kHalves, D::kMins});
  const __m512i shift = _mm512_set1_epi8(static_cast<char>(128 - (1 << D::kOffsetBits)));
  const uint8_t* block = panel + static_cast<size_t>(first / D::kSlices) * D::kBytes;
  for (int done = 0; done < n; done += D::kSlices, block += D::kBytes) {
    const auto header = D::header(block);
    unrolled<D::kSlices>([&]<int s>() __attribute__((always_inline)) {
      __m512i w[8];
      SliceScales scales;
      D::template slice<s>(block, header, w, scales);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        if constexpr (!D::kMins && D::kOffsetBits != 7) w[i] = _mm512_add_epi8(w[i], shift);
        _mm512_store_si512(out + 64 * i, w[i]);
      }
      for (int half = 0; half < D::kHalves; ++half) {
        _mm512_store_ps(out + 512 + 64 * half, scales.scale[half]);
        if constexpr (D::kMins) _mm512_store_ps(out + 512 + 64 * (D::kHalves + half), scales.min[half]);
      }
      out += kStride;
    });
  }
}

/// Tokens [t0, t0 + T) of a block times panels [p, p + panels), accumulators to the output at the end.
template <typename D>
void multiply_token_block(const MatmulArgs& a, int64_t t0, int64_t T, int64_t p, int panels) {
  constexpr avx512::SliceKind kKind{D::kHalves, D::kMins};
  uint8_t* slices = reinterpret_cast<uint8_t*>(a.scratch);
  float* acc = reinterpret_cast<float*>(a.scratch + avx512::kSliceScratch);
  const int64_t total = a.K / kActBlock;
  for (int64_t first = 0; first < total; first += avx512::kSlices) {
    const int n = static_cast<int>(total - first < avx512::kSlices ? total - first : avx512::kSlices);
    for (int r = 0; r < panels; ++r) {
      const uint8_t* panel = reinterpret_cast<const uint8_t*>(a.panels) + static_cast<size_t>(p + r) * a.panel_bytes;
      unpack_slices<D>(panel, first, n, slices + static_cast<size_t>(r * avx512::kSlices) * avx512::slice_bytes(kKind));
    }
    const std::byte* acts = a.acts + static_cast<size_t>(t0) * a.act_stride + static_cast<size_t>(first) * sizeof(ActBlock);
    avx512::multiply_tiles(kKind, {slices, panels, n, acts, a.act_stride, T, acc, first == 0});
  }
  for (int64_t t = 0; t < T; ++t)
    for (int r = 0; r < panels; ++r)
      write_output(a, t0 + t, (p + r) * kPanelRows, _mm512_loadu_ps(acc + 16 * (t * panels + r)));
}

template <typename D>
void multiply_many(const MatmulArgs& a) {
  for (int64_t t0 = 0; t0 < a.T; t0 += avx512::kTokenBlock) {
    const int64_t T = a.T - t0 < avx512::kTokenBlock ? a.T - t0 : avx512::kTokenBlock;
    for (int64_t p = a.panel_begin; p < a.panel_end; p += avx512::kPanels) {
      const int panels = a.panel_end - p < avx512::kPanels ? 1 : avx512::kPanels;
      multiply_token_block<D>(a, t0, T, p, panels);
    }
  }
}

template <DType type>
void matmul(const MatmulArgs& a) {
  if (a.T <= kDirectTokens) multiply_few<Decode<type>>(a);
  else multiply_many<Decode<type>>(a);
}

inline size_t matmul_scratch_bytes(int64_t T, int64_t) { return T <= kDirectTokens ? 0 : avx512::kScratchBytes; }

template <DType... types>
void fill_quantized(KernelTable& table) {
  const auto set = [](WeightKernels& w, void (*kernel)(const MatmulArgs&)) {
    w.act = ActKind::int8;
    w.matmul = kernel;
    w.matmul_scratch_bytes = matmul_scratch_bytes;
  };
  (set(table.weights[static_cast<size_t>(types)], matmul<types>), ...);
}

}  // namespace
}  // namespace kinglet
