// Packed panels to operands of the integer products: one decoder for each quantized type, written in the operations of
// x86/vec_avx512.h, x86/vec_avx2.h or arm/vec_neon.h, one of which is included before. All work on a *slice*, 32 values of K: eight vectors w[i] of
// bytes, byte 4 r + c being row r's value 4 i + c, and f32 scales (and minimums) of the rows. Where a vector holds
// fewer than 16 rows, `part` says which. See kernels/panels.h for where things lie.
#pragma once

#include "kernels/simd/unrolled.h"
#include "kernels/stream_blocks.h"
#include "tensor/blocks.h"

namespace kinglet {
namespace {

/// Scales of a slice: scale[0] alone, or one for each half (16 values). Minimums likewise: w = scale u - min.
struct SliceScales {
  Vec::F scale[2];
  Vec::F min[2];
  Vec::I integer[2];  ///< scale = integer * the super-block's, for types with kIntegerScales
  KL_INLINE void set(int half, Vec::F super, Vec::I scales) {
    integer[half] = scales;
    scale[half] = Vec::mul(super, Vec::to_float(scales));
  }
};

/// Where in a packed block a member lies. A quad of all rows takes 64 bytes, halves 32, bytes 16; a part its share.
#define KL_AT(Block, member) (16 * offsetof(Block, member))
/// Slice s of a packed block.
template <typename Block>
KL_INLINE const uint8_t* slice_at(const uint8_t* b, int s) {
  return b + KL_AT(Block, slices) + 16 * sizeof(Block::slices[0]) * static_cast<size_t>(s);
}
inline constexpr int kQuadPart = 64 / Vec::kParts, kHalfPart = 32 / Vec::kParts, kBytePart = 16 / Vec::kParts;

KL_INLINE Vec::I low_nibbles(Vec::I v) { return Vec::and_(v, Vec::set8(15)); }
KL_INLINE Vec::I high_nibbles(Vec::I v) { return low_nibbles(Vec::right16<4>(v)); }
/// Shifts left by n, right where n is negative.
template <int n>
KL_INLINE Vec::I shift16(Vec::I v) {
  if constexpr (n >= 0) return Vec::left16<n>(v);
  else return Vec::right16<-n>(v);
}
/// Quad i of `quads`, the part's rows.
KL_INLINE Vec::I load_quad(const uint8_t* quads, int i, int part) {
  return Vec::load(quads + 64 * i + kQuadPart * part);
}
KL_INLINE Vec::F load_halves(const uint8_t* p, int part) { return Vec::halves(p + kHalfPart * part); }
/// Byte j of the rows, as 32-bit integers.
KL_INLINE Vec::I load_bytes(const uint8_t* p, int j, int part) { return Vec::bytes(p + 16 * j + kBytePart * part); }

/// Nibbles of blocks of 32: quads 0..3 low, 4..7 high.
KL_INLINE void block_nibbles(const uint8_t* qs, int part, Vec::I w[8]) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const Vec::I v = load_quad(qs, i, part);
    w[i] = low_nibbles(v);
    w[i + 4] = high_nibbles(v);
  }
}

/// Adds bit `position` of all values: bit i of each byte of `plane` is that of quad i.
template <int position>
KL_INLINE void add_bits(const uint8_t* plane, int part, Vec::I w[8]) {
  const Vec::I bits = load_quad(plane, 0, part);
  unrolled<8>([&]<int i>() __attribute__((always_inline)) {
    w[i] = Vec::or_masked(w[i], shift16<position - i>(bits), Vec::set8(1 << position));
  });
}

KL_INLINE void look_up_iq4(Vec::I w[8]) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) w[i] = Vec::byte_weights(Vec::look_up(kIq4Values, w[i]));
}

// Each decoder: kSlices slices in a block of kBytes. kGroup as in Vec::dot. Values are u - (1 << kOffsetBits) (0: u itself);
// kHalves scales in a slice; kMins: with minimums. header() reads what all slices of a block share.
// kIntegerScales: scales are multiples of the block's, which is super_scale(header, part), and all their products with a slice's sums are
// exact in a float.

template <DType type, int slices, int group, int offset_bits, int halves, bool mins, bool integer_scales = false>
struct DecodeTraits {
  using Block = typename BlockOf<type>::type;
  static constexpr size_t kBytes = 16 * sizeof(Block);
  static constexpr int kSlices = slices, kGroup = group, kOffsetBits = offset_bits, kHalves = halves;
  static constexpr bool kMins = mins, kIntegerScales = integer_scales;
};

struct NoHeader {};

/// A half of every row, by parts.
struct RowHalves {
  Vec::F of[Vec::kParts];
};
KL_INLINE RowHalves row_halves(const uint8_t* p) {
  RowHalves h;
  for (int part = 0; part < Vec::kParts; ++part) h.of[part] = load_halves(p, part);
  return h;
}

KL_INLINE Vec::F super_scale(const RowHalves& d, int part) { return d.of[part]; }

template <DType type>
struct Decode;

/// The types with blocks of 32 values: nibbles, with fifth bits where the block has them.
template <DType type, int group, int offset_bits, bool mins>
struct DecodeNibbles : DecodeTraits<type, 1, group, offset_bits, 1, mins> {
  using Block = typename BlockOf<type>::type;
  static KL_INLINE NoHeader header(const uint8_t*) { return {}; }
  template <int>
  static KL_INLINE void slice(const uint8_t* b, int part, NoHeader, Vec::I w[8], SliceScales& s) {
    block_nibbles(b + KL_AT(Block, qs), part, w);
    if constexpr (requires(Block x) { x.qh; }) add_bits<4>(b + KL_AT(Block, qh), part, w);
    s.scale[0] = load_halves(b, part);
    if constexpr (requires(Block x) { x.m; }) s.min[0] = Vec::negate(load_halves(b + KL_AT(Block, m), part));
  }
};
template <>
struct Decode<DType::q4_0> : DecodeNibbles<DType::q4_0, 8, 3, false> {};
template <>
struct Decode<DType::q4_1> : DecodeNibbles<DType::q4_1, 8, 0, true> {};
template <>
struct Decode<DType::q5_0> : DecodeNibbles<DType::q5_0, 4, 4, false> {};
template <>
struct Decode<DType::q5_1> : DecodeNibbles<DType::q5_1, 4, 0, true> {};

template <>
struct Decode<DType::q8_0> : DecodeTraits<DType::q8_0, 1, 1, Vec::kByteOffsetBits, 1, false> {
  static KL_INLINE NoHeader header(const uint8_t*) { return {}; }
  template <int>
  static KL_INLINE void slice(const uint8_t* b, int part, NoHeader, Vec::I w[8], SliceScales& s) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) w[i] = Vec::byte_weights(load_quad(b + KL_AT(BlockQ8_0, qs), i, part));
    s.scale[0] = load_halves(b, part);
  }
};

template <>
struct Decode<DType::iq4_nl> : DecodeTraits<DType::iq4_nl, 1, 1, Vec::kByteOffsetBits, 1, false> {
  static KL_INLINE NoHeader header(const uint8_t*) { return {}; }
  template <int>
  static KL_INLINE void slice(const uint8_t* b, int part, NoHeader, Vec::I w[8], SliceScales& s) {
    block_nibbles(b + KL_AT(BlockIq4Nl, qs), part, w);
    look_up_iq4(w);
    s.scale[0] = load_halves(b, part);
  }
};

template <>
struct Decode<DType::iq4_xs> : DecodeTraits<DType::iq4_xs, 8, 1, Vec::kByteOffsetBits, 1, false> {
  static KL_INLINE RowHalves header(const uint8_t* b) { return row_halves(b); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, int part, const RowHalves& d, Vec::I w[8], SliceScales& out) {
    block_nibbles(b + KL_AT(BlockIq4Xs, qs) + 256 * s, part, w);
    look_up_iq4(w);
    const Vec::I low = load_bytes(b + KL_AT(BlockIq4Xs, scales_l), s / 2, part);
    const Vec::I high = Vec::words(b + KL_AT(BlockIq4Xs, scales_h) + kHalfPart * part);
    const Vec::I scale = Vec::or_masked(Vec::and_(Vec::right32<4 * (s % 2)>(low), Vec::set32(15)),
                                        Vec::left32<4>(Vec::right32<2 * s>(high)), Vec::set32(0x30));
    out.scale[0] = Vec::mul(d.of[part], Vec::to_float(Vec::sub32(scale, Vec::set32(32))));
  }
};

struct ScaleAndMin {
  RowHalves d, dmin;
};
KL_INLINE Vec::F super_scale(const ScaleAndMin& h, int part) { return h.d.of[part]; }
template <typename Block>
KL_INLINE ScaleAndMin header_with_min(const uint8_t* b) {
  return {row_halves(b + KL_AT(Block, d)), row_halves(b + KL_AT(Block, dmin))};
}

/// Scales and minimums of the sub-blocks of Q4_K and Q5_K (see scale_min_k4), bytes of the rows.
template <typename V>
struct BytesK4 {
  Vec::I scales[2], mins[2];  ///< of sub-blocks 0 to 3, or as many of those as a vector holds, and of those from 4
};
template <typename V>
KL_INLINE BytesK4<V> read_k4(const uint8_t* bytes) {
  const Vec::I first = V::load(bytes), second = V::load(bytes + 64), last = V::load(bytes + 128), top = V::set8(0x30);
  BytesK4<V> k;
  k.scales[0] = V::and_(first, V::set8(63));
  k.mins[0] = V::and_(second, V::set8(63));
  k.scales[1] = V::or_masked(low_nibbles(last), V::template right16<2>(first), top);
  k.mins[1] = V::or_masked(high_nibbles(last), V::template right16<2>(second), top);
  return k;
}

/// All of a super-block. They are worked out at once: going back to the packed ones for each slice takes more instructions and spoils
/// what the processor's prefetcher has learnt of the stream.
template <typename V, bool whole = V::kParts == 1>
struct ScalesK4 {
  alignas(64) uint8_t scales[8 * kPanelRows];
  alignas(64) uint8_t mins[8 * kPanelRows];
  KL_INLINE void read(const uint8_t* bytes) {
    unrolled<64 / sizeof(Vec::I)>([&]<int i>() __attribute__((always_inline)) {
      constexpr size_t at = i * sizeof(Vec::I);
      const BytesK4<V> k = read_k4<V>(bytes + at);
      for (size_t half = 0; half < 2; ++half) {
        V::store(scales + 64 * half + at, k.scales[half]);
        V::store(mins + 64 * half + at, k.mins[half]);
      }
    });
    // To be read from there: out of registers a row's bytes take three instructions.
    asm("" : "+m"(scales), "+m"(mins));
  }
  template <int s>
  KL_INLINE Vec::I scale(int part) const {
    return load_bytes(scales, s, part);
  }
  template <int s>
  KL_INLINE Vec::I min(int part) const {
    return load_bytes(mins, s, part);
  }
};

/// Where a vector holds four sub-blocks' they stay in registers.
template <typename V>
struct ScalesK4<V, true> {
  BytesK4<V> k;
  KL_INLINE void read(const uint8_t* bytes) { k = read_k4<V>(bytes); }
  template <int s>
  KL_INLINE Vec::I scale(int) const {
    return V::template row_bytes<s % 4>(k.scales[s / 4]);
  }
  template <int s>
  KL_INLINE Vec::I min(int) const {
    return V::template row_bytes<s % 4>(k.mins[s / 4]);
  }
};

/// What the slices of Q4_K and Q5_K share.
struct HeaderK4 {
  ScaleAndMin whole;
  ScalesK4<Vec> bytes;
};
KL_INLINE Vec::F super_scale(const HeaderK4& h, int part) { return super_scale(h.whole, part); }
template <typename Block>
KL_INLINE HeaderK4 header_k4(const uint8_t* b) {
  HeaderK4 h;
  h.whole = header_with_min<Block>(b);
  h.bytes.read(b + KL_AT(Block, scales));
  return h;
}
template <int s>
KL_INLINE void scales_k4(const HeaderK4& h, int part, SliceScales& out) {
  out.set(0, super_scale(h, part), h.bytes.template scale<s>(part));
  out.min[0] = Vec::mul(h.whole.dmin.of[part], Vec::to_float(h.bytes.template min<s>(part)));
}

template <>
struct Decode<DType::q4_k> : DecodeTraits<DType::q4_k, 8, 8, 0, 1, true, true> {
  static KL_INLINE HeaderK4 header(const uint8_t* b) { return header_k4<stream::Q4K>(b); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, int part, const HeaderK4& h, Vec::I w[8], SliceScales& out) {
    block_nibbles(slice_at<stream::Q4K>(b, s), part, w);
    scales_k4<s>(h, part, out);
  }
};

template <>
struct Decode<DType::q5_k> : DecodeTraits<DType::q5_k, 8, 4, 0, 1, true, true> {
  using Slice = stream::Q5K::Slice;
  static KL_INLINE HeaderK4 header(const uint8_t* b) { return header_k4<stream::Q5K>(b); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, int part, const HeaderK4& h, Vec::I w[8], SliceScales& out) {
    const uint8_t* slice = slice_at<stream::Q5K>(b, s);
    block_nibbles(slice + KL_AT(Slice, qs), part, w);
    add_bits<4>(slice + KL_AT(Slice, qh), part, w);
    scales_k4<s>(h, part, out);
  }
};

template <>
struct Decode<DType::q6_k> : DecodeTraits<DType::q6_k, 8, 2, 5, 2, false, true> {
  using Slice = stream::Q6K::Slice;
  static KL_INLINE RowHalves header(const uint8_t* b) { return row_halves(b + KL_AT(stream::Q6K, d)); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, int part, const RowHalves& d, Vec::I w[8], SliceScales& out) {
    const uint8_t* slice = slice_at<stream::Q6K>(b, s);
    const Vec::I high[2] = {load_quad(slice + KL_AT(Slice, qh), 0, part), load_quad(slice + KL_AT(Slice, qh), 1, part)};
    block_nibbles(slice + KL_AT(Slice, qs), part, w);
    unrolled<8>([&]<int i>() __attribute__((always_inline)) {
      w[i] = Vec::or_masked(w[i], shift16<4 - 2 * (i % 4)>(high[i / 4]), Vec::set8(0x30));
    });
    for (int half = 0; half < 2; ++half) {
      const uint8_t* scale = slice + 16 * half + kBytePart * part;
      out.set(half, super_scale(d, part), Vec::signed_bytes(scale));
    }
  }
};

/// The two-bit values of a slice.
KL_INLINE void two_bits(const uint8_t* qs, int part, Vec::I w[8]) {
  const Vec::I v[2] = {load_quad(qs, 0, part), load_quad(qs, 1, part)};
  unrolled<8>([&]<int i>()
                  __attribute__((always_inline)) { w[i] = Vec::and_(shift16<-2 * (i % 4)>(v[i / 4]), Vec::set8(3)); });
}

/// Scale j of Q3_K, plus 32 (see scale_q3k).
template <int j>
KL_INLINE Vec::I scale_bits_q3k(const uint8_t* scales, int part) {
  const Vec::I low = Vec::and_(Vec::right32<(j < 8 ? 0 : 4)>(load_bytes(scales, j % 8, part)), Vec::set32(15));
  const Vec::I high = Vec::left32<4>(Vec::right32<2 * (j / 4)>(load_bytes(scales, 8 + j % 4, part)));
  return Vec::or_masked(low, high, Vec::set32(0x30));
}

template <>
struct Decode<DType::q3_k> : DecodeTraits<DType::q3_k, 8, 4, 2, 2, false, true> {
  using Slice = stream::Q3K::Slice;
  static KL_INLINE RowHalves header(const uint8_t* b) { return row_halves(b + KL_AT(stream::Q3K, d)); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, int part, const RowHalves& d, Vec::I w[8], SliceScales& out) {
    const uint8_t* slice = slice_at<stream::Q3K>(b, s);
    two_bits(slice + KL_AT(Slice, qs), part, w);
    add_bits<2>(slice + KL_AT(Slice, qh), part, w);
    const uint8_t* scales = b + KL_AT(stream::Q3K, scales);
    const Vec::I bias = Vec::set32(32);
    out.set(0, super_scale(d, part), Vec::sub32(scale_bits_q3k<2 * s>(scales, part), bias));
    out.set(1, super_scale(d, part), Vec::sub32(scale_bits_q3k<2 * s + 1>(scales, part), bias));
  }
};

template <>
struct Decode<DType::q2_k> : DecodeTraits<DType::q2_k, 8, 4, 0, 2, true, true> {
  static KL_INLINE ScaleAndMin header(const uint8_t* b) { return header_with_min<stream::Q2K>(b); }
  template <int s>
  static KL_INLINE void slice(const uint8_t* b, int part, const ScaleAndMin& h, Vec::I w[8], SliceScales& out) {
    const uint8_t* slice = slice_at<stream::Q2K>(b, s);
    two_bits(slice + KL_AT(stream::Q2K::Slice, qs), part, w);
    for (int half = 0; half < 2; ++half) {
      const Vec::I both = load_bytes(slice, half, part);
      out.set(half, super_scale(h, part), Vec::and_(both, Vec::set32(15)));
      out.min[half] = Vec::mul(h.dmin.of[part], Vec::to_float(Vec::right32<4>(both)));
    }
  }
};

}  // namespace
}  // namespace kinglet
