// Matrix products of quantized weights with int8 activations, as templates over the decoders of decode.h; one of
// x86/vec_avx512.h, x86/vec_avx2.h and arm/vec_neon.h is included before. Few tokens: the panel is decoded in registers as it streams by. Many: it is unpacked once
// for a block of tokens (tiles.h).
#pragma once

#include "kernels/act_block.h"
#include "kernels/kernels.h"
#include "kernels/simd/decode.h"
#include "kernels/simd/tiles.h"
#include "kernels/simd/unrolled.h"

namespace kinglet {
namespace {

/// Whether a block's products are summed up by integer scales and multiplied by the block's at its end. It takes another accumulator and is
/// worth it where an instruction multiplies by the scale that has to run anyway.
template <typename D>
constexpr bool kIntegerScales = Vec::kMultiplyWidens&& D::kIntegerScales;

/// acc[t] += one slice times the activations of TT tokens; with integer scales sums[t] += the products and acc[t] -= the minimums.
template <typename D, int TT>
KL_INLINE void multiply_slice(const Vec::I w[8], const SliceScales& s, const ActBlock* const x[TT], Vec::F sums[TT],
                              Vec::F acc[TT]) {
  constexpr int kQuads = 8 / D::kHalves;
#pragma GCC unroll 8
  for (int t = 0; t < TT; ++t) {
    Vec::F sum;
#pragma GCC unroll 2
    for (int half = 0; half < D::kHalves; ++half) {
      Vec::I dot = Vec::set32(0);
      if constexpr (D::kOffsetBits != 0)
        dot = Vec::right32<7 - D::kOffsetBits>(Vec::set32(D::kHalves == 1 ? x[t]->bias : x[t]->bias16[half]));
      dot = Vec::dot<D::kGroup, kQuads>(dot, w + kQuads * half, x[t]->q + 4 * kQuads * half);
      const Vec::F f = Vec::to_float(dot);
      const Vec::F scale = kIntegerScales<D> ? Vec::to_float(s.integer[half]) : s.scale[half];
      sum = half == 0 ? Vec::mul(f, scale) : Vec::fmadd(f, scale, sum);
    }
    Vec::F& to = kIntegerScales<D> ? sums[t] : acc[t];
    to = Vec::fmadd(sum, Vec::set(x[t]->scale), to);
    if constexpr (D::kMins) {
#pragma GCC unroll 2
      for (int half = 0; half < D::kHalves; ++half) {
        const float sum16 = D::kHalves == 1 ? x[t]->scaled_sum : scaled_sum16(*x[t], half);
        acc[t] = Vec::fnmadd(s.min[half], Vec::set(sum16), acc[t]);
      }
    }
  }
}

/// Tokens [t0, t0 + TT) times one panel. It is read in the order of addresses and fetched by the processor's own prefetcher: explicit
/// fetches of every line take fill buffers from it and make the stream slower.
template <typename D, int TT>
void multiply_direct(const MatmulArgs& a, int64_t p, int64_t t0) {
  const uint8_t* block = reinterpret_cast<const uint8_t*>(a.panels) + static_cast<size_t>(p) * a.panel_bytes;
  const ActBlock* x[TT];
  Vec::F acc[Vec::kParts][TT];
  for (int t = 0; t < TT; ++t) {
    x[t] = reinterpret_cast<const ActBlock*>(a.acts + static_cast<size_t>(t0 + t) * a.act_stride);
    for (int part = 0; part < Vec::kParts; ++part) acc[part][t] = Vec::zero();
  }
  for (int64_t k = 0; k < a.K; k += kActBlock * D::kSlices, block += D::kBytes) {
    const auto header = D::header(block);
    Vec::F sums[Vec::kParts][TT];
    for (int part = 0; part < Vec::kParts; ++part)
      for (int t = 0; t < TT; ++t) sums[part][t] = Vec::zero();
    unrolled<D::kSlices>([&]<int s>() __attribute__((always_inline)) {
#pragma GCC unroll 2
      for (int part = 0; part < Vec::kParts; ++part) {
        Vec::I w[8];
        SliceScales scales;
        D::template slice<s>(block, part, header, w, scales);
        multiply_slice<D, TT>(w, scales, x, sums[part], acc[part]);
      }
      for (int t = 0; t < TT; ++t) ++x[t];
    });
    if constexpr (kIntegerScales<D>)
      for (int part = 0; part < Vec::kParts; ++part)
        for (int t = 0; t < TT; ++t) acc[part][t] = Vec::fmadd(sums[part][t], super_scale(header, part), acc[part][t]);
  }
  for (int t = 0; t < TT; ++t)
    for (int part = 0; part < Vec::kParts; ++part)
      Vec::write_output(a, t0 + t, p * kPanelRows + part * (kPanelRows / Vec::kParts), acc[part][t]);
}

template <typename D, int... TT>
constexpr auto direct_groups(std::integer_sequence<int, TT...>) {
  struct {
    void (*by_size[sizeof...(TT) + 1])(const MatmulArgs&, int64_t, int64_t);
  } groups{{nullptr, multiply_direct<D, TT + 1>...}};
  return groups;
}

/// A few tokens, in groups of nearly equal size while the panel is in the cache.
template <typename D>
void multiply_few(const MatmulArgs& a) {
  constexpr auto kGroups = direct_groups<D>(std::make_integer_sequence<int, Vec::kDirectGroup>{});
  const int64_t groups = (a.T + Vec::kDirectGroup - 1) / Vec::kDirectGroup;
  for (int64_t p = a.panel_begin; p < a.panel_end; ++p) {
    for (int64_t i = 0, t = 0; i < groups; ++i) {
      const int64_t end = a.T * (i + 1) / groups;
      kGroups.by_size[end - t](a, p, t);
      t = end;
    }
  }
}

template <typename D>
constexpr int kValueBytes = D::kGroup == 1 ? Vec::kByteWidth : 1;  ///< of an unpacked weight
template <typename D>
constexpr size_t kSliceBytes = kIntegerScales<D> ? simd::super_slice_bytes(D::kHalves, D::kMins)
                                                 : simd::slice_bytes(kValueBytes<D>, D::kHalves, D::kMins);

/// Each number twice, as words.
KL_INLINE Vec::I doubled(Vec::I v) { return Vec::or_masked(Vec::left32<16>(v), v, Vec::set32(0xffff)); }

// GCC 12 takes the AVX2 instances of unpack_slices for Q3_K and Q6_K to have no effect and drops the calls, unless it is
// kept from looking across them.
#if defined(__GNUC__) && !defined(__clang__)
#define KL_OPAQUE __attribute__((noipa))
#else
#define KL_OPAQUE __attribute__((noinline))
#endif

/// `n` slices from slice `first` of a panel to scratch, in the form tiles.h describes. Both are whole blocks.
template <typename D>
KL_OPAQUE void unpack_slices(const uint8_t* panel, int64_t first, int n, uint8_t* out) {
  constexpr bool kShift = Vec::kTilesTakeBytes && D::kOffsetBits != 0 && D::kOffsetBits != 7;  // all offsets become 128
  const uint8_t* block = panel + static_cast<size_t>(first / D::kSlices) * D::kBytes;
  for (int done = 0; done < n; done += D::kSlices, block += D::kBytes, out += D::kSlices * kSliceBytes<D>) {
    const auto header = D::header(block);
    for (int part = 0; part < Vec::kParts; ++part) {
      unrolled<D::kSlices>([&]<int s>() __attribute__((always_inline)) {
        Vec::I w[8];
        SliceScales scales;
        D::template slice<s>(block, part, header, w, scales);
        if constexpr (kShift)
#pragma GCC unroll 8
          for (int i = 0; i < 8; ++i) w[i] = Vec::add8(w[i], Vec::set8(128 - (1 << D::kOffsetBits)));
        uint8_t* slice = out + s * kSliceBytes<D>;
        Vec::template store_quads<D::kGroup>(slice, part, w);
        uint8_t* to = slice + kQuadPart * part;
        for (int half = 0; half < D::kHalves; ++half) {
          uint8_t* scale = to + 512 * kValueBytes<D> + 64 * half;
          if constexpr (kIntegerScales<D>) Vec::store(scale, doubled(scales.integer[half]));
          else Vec::store(scale, scales.scale[half]);
          if constexpr (D::kMins) Vec::store(to + 512 + 64 * (D::kHalves + half), scales.min[half]);
        }
        if constexpr (kIntegerScales<D> && s == 0) Vec::store(to + kSliceBytes<D> - 64, super_scale(header, part));
      });
    }
  }
}

/// Fetches `bytes` of each of a tile's panels: there are many tokens' products between two unpackings, so that the processor's own
/// prefetcher does not see that they belong together (a tenth of a prompt's time went into waiting for them).
KL_INLINE void fetch_panels(const uint8_t* panel, size_t panel_bytes, size_t bytes) {
  for (int r = 0; r < Vec::kTilePanels; ++r)
    for (size_t at = 0; at < bytes; at += 64) Vec::prefetch(panel + static_cast<size_t>(r) * panel_bytes + at);
}

/// Tokens [t0, t0 + T) times panels [p, p + panels), kSlices of K at a time for all of them: the tokens' part stays in the second-level
/// cache while the panels' parts pass through the first. Accumulators go to the output at the end.
template <typename D, simd::MultiplyTiles* tiles>
void multiply_block(const MatmulArgs& a, int64_t t0, int64_t T, int64_t p, int panels) {
  constexpr simd::SliceKind kKind{D::kHalves, D::kMins, D::kGroup, D::kOffsetBits, kIntegerScales<D>};
  uint8_t* slices = reinterpret_cast<uint8_t*>(a.scratch);
  float* acc =
      reinterpret_cast<float*>(a.scratch + simd::kSliceScratch);  // (tiles of panels, T, panels of the tile, 16)
  const auto panel_at = [&](int i) {
    return reinterpret_cast<const uint8_t*>(a.panels) + static_cast<size_t>(p + i) * a.panel_bytes;
  };
  const int64_t total = a.K / kActBlock;
  for (int64_t first = 0; first < total; first += simd::kSlices) {
    const int n = static_cast<int>(total - first < simd::kSlices ? total - first : simd::kSlices);
    const std::byte* acts =
        a.acts + static_cast<size_t>(t0) * a.act_stride + static_cast<size_t>(first) * sizeof(ActBlock);
    for (int i = 0; i < panels; i += Vec::kTilePanels) {
      const int count = panels - i < Vec::kTilePanels ? 1 : Vec::kTilePanels;
      for (int r = 0; r < count; ++r)
        unpack_slices<D>(panel_at(i + r), first, n, slices + static_cast<size_t>(r * simd::kSlices) * kSliceBytes<D>);
      const bool last = i + count == panels;
      const int64_t next = last ? first + simd::kSlices : first;
      constexpr size_t kPartBytes = simd::kSlices / D::kSlices * D::kBytes;
      fetch_panels(panel_at(last ? 0 : i + count) + static_cast<size_t>(next / D::kSlices) * D::kBytes, a.panel_bytes,
                   kPartBytes);
      tiles(kKind, {slices, count, n, acts, a.act_stride, T, acc + i * T * kPanelRows, first == 0});
    }
  }
  constexpr int kLanes = kPanelRows / Vec::kParts;
  for (int64_t t = 0; t < T; ++t) {
    for (int i = 0; i < panels; i += Vec::kTilePanels) {
      const int count = panels - i < Vec::kTilePanels ? 1 : Vec::kTilePanels;
      const float* from = acc + (i * T + t * count) * kPanelRows;
      for (int v = 0; v < count * Vec::kParts; ++v, from += kLanes)
        Vec::write_output(a, t0 + t, (p + i) * kPanelRows + v * kLanes,
                          Vec::floats(reinterpret_cast<const uint8_t*>(from)));
    }
  }
}

template <typename D, simd::MultiplyTiles* tiles>
void multiply_many(const MatmulArgs& a) {
  for (int64_t t0 = 0; t0 < a.T; t0 += simd::kTokenBlock) {
    const int64_t T = a.T - t0 < simd::kTokenBlock ? a.T - t0 : simd::kTokenBlock;
    for (int64_t p = a.panel_begin; p < a.panel_end; p += simd::kBlockPanels)
      multiply_block<D, tiles>(
          a, t0, T, p, static_cast<int>(a.panel_end - p < simd::kBlockPanels ? a.panel_end - p : simd::kBlockPanels));
  }
}

template <DType type, simd::MultiplyTiles* tiles>
void matmul(const MatmulArgs& a) {
  if (a.T <= (a.few > 0 ? a.few : Vec::kDirectTokens)) multiply_few<Decode<type>>(a);
  else multiply_many<Decode<type>, tiles>(a);
}

inline size_t matmul_scratch_bytes(int64_t T, int64_t) { return T <= 1 ? 0 : simd::kScratchBytes; }

/// Products of the types, those of many tokens by `tiles`.
template <simd::MultiplyTiles* tiles, DType... types>
void fill_quantized(KernelTable& table) {
  const auto set = [](WeightKernels& w, void (*kernel)(const MatmulArgs&)) {
    w.act = ActKind::int8;
    w.matmul = kernel;
    w.matmul_scratch_bytes = matmul_scratch_bytes;
  };
  (set(table.weights[static_cast<size_t>(types)], matmul<types, tiles>), ...);
}
/// Those with blocks of 32 values.
template <simd::MultiplyTiles* tiles>
void fill_simple(KernelTable& table) {
  fill_quantized<tiles, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0, DType::iq4_nl>(table);
}
/// Those with super-blocks of 256.
template <simd::MultiplyTiles* tiles>
void fill_super(KernelTable& table) {
  fill_quantized<tiles, DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_xs>(table);
}

}  // namespace
}  // namespace kinglet
