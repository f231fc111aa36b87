// The quantized blocks as they lie in GGUF files. Each holds the values of 32 or 256 consecutive K of one row; the layouts
// are ggml's (ggml-common.h). `d` and `m` are half-precision bits; files are little-endian. No struct has padding or needs
// an alignment above 2; where a row may start at any address, copy the block out before use.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace kinglet {

inline constexpr int kBlock = 32;        ///< values of a simple block
inline constexpr int kSuperBlock = 256;  ///< values of a K-quant's or IQ4_XS's super-block

/// w = (q - 8) d. Byte i: value i in the low nibble, value i + 16 in the high one.
struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[kBlock / 2];
};

/// w = q d + m.
struct BlockQ4_1 {
  uint16_t d, m;
  uint8_t qs[kBlock / 2];
};

/// w = (q - 16) d; the fifth bit of value i is bit i of qh (little-endian).
struct BlockQ5_0 {
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[kBlock / 2];
};

/// w = q d + m.
struct BlockQ5_1 {
  uint16_t d, m;
  uint8_t qh[4];
  uint8_t qs[kBlock / 2];
};

/// w = q d.
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[kBlock];
};

/// w = kIq4Values[q] d, nibbles as in Q4_0.
struct BlockIq4Nl {
  uint16_t d;
  uint8_t qs[kBlock / 2];
};

inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// 16 sub-blocks of 16: w = d (scale q) - dmin min, scales[j] = scale | min << 4.
/// Value 128 h + 32 p + l (l < 32) is bits 2p, 2p + 1 of qs[32 h + l].
struct BlockQ2K {
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d, dmin;
};

/// 16 sub-blocks of 16: w = d (scale - 32)(q - 4), q's low bits as in Q2_K, bit 2 is bit 4h + p of hmask[l]. Scales of six
/// bits: low nibbles in bytes 0..7 (j < 8 low, else high), top two bits of scale j in bits 2 (j / 4).. of byte 8 + j % 4.
struct BlockQ3K {
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;
};

/// 8 sub-blocks of 32: w = d scale q - dmin min. Value 64 g + l in the low nibble of qs[32 g + l], 64 g + 32 + l in the high.
/// Six-bit scales: j < 4 in bytes j (scale) and 4 + j (min); j >= 4 in the nibbles of byte 4 + j, with their top two bits in
/// those of bytes j - 4 and j.
struct BlockQ4K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};

/// As Q4_K, the fifth bit of value 32 s + l is bit s of qh[l].
struct BlockQ5K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};

/// 16 sub-blocks of 16: w = d scale (q - 32). Value 128 h + 32 p + l (l < 32): low four bits in nibble p / 2 of
/// ql[64 h + 32 (p % 2) + l], high two in bits 2p.. of qh[32 h + l].
struct BlockQ6K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};

/// 8 sub-blocks of 32: w = d (scale - 32) kIq4Values[q], nibbles of sub-block s in qs[16 s ..] as in Q4_0. Scale s: low four
/// bits in nibble s % 2 of scales_l[s / 2], high two in bits 2s.. of scales_h.
struct BlockIq4Xs {
  uint16_t d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};

/// The block struct of a quantized type, its size checked against dtype.def.
template <DType>
struct BlockOf;
#define KINGLET_BLOCK_OF(id, Block, values) \
  template <> \
  struct BlockOf<DType::id> { \
    using type = Block; \
    static_assert(sizeof(Block) == info(DType::id).block_bytes && info(DType::id).block_values == (values)); \
  };
KINGLET_BLOCK_OF(q4_0, BlockQ4_0, kBlock)
KINGLET_BLOCK_OF(q4_1, BlockQ4_1, kBlock)
KINGLET_BLOCK_OF(q5_0, BlockQ5_0, kBlock)
KINGLET_BLOCK_OF(q5_1, BlockQ5_1, kBlock)
KINGLET_BLOCK_OF(q8_0, BlockQ8_0, kBlock)
KINGLET_BLOCK_OF(iq4_nl, BlockIq4Nl, kBlock)
KINGLET_BLOCK_OF(q2_k, BlockQ2K, kSuperBlock)
KINGLET_BLOCK_OF(q3_k, BlockQ3K, kSuperBlock)
KINGLET_BLOCK_OF(q4_k, BlockQ4K, kSuperBlock)
KINGLET_BLOCK_OF(q5_k, BlockQ5K, kSuperBlock)
KINGLET_BLOCK_OF(q6_k, BlockQ6K, kSuperBlock)
KINGLET_BLOCK_OF(iq4_xs, BlockIq4Xs, kSuperBlock)
#undef KINGLET_BLOCK_OF

/// Scale and min of sub-block j of Q4_K and Q5_K.
struct ScaleMin {
  uint8_t scale, min;
};
constexpr ScaleMin scale_min_k4(int j, const uint8_t (&s)[12]) {
  if (j < 4) return {static_cast<uint8_t>(s[j] & 63), static_cast<uint8_t>(s[j + 4] & 63)};
  return {static_cast<uint8_t>((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4)),
          static_cast<uint8_t>((s[j + 4] >> 4) | ((s[j] >> 6) << 4))};
}

/// Scale j (0..15) of Q3_K, in [-32, 31].
constexpr int scale_q3k(int j, const uint8_t (&s)[12]) {
  const int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
  const int high = (s[8 + j % 4] >> (2 * (j / 4))) & 3;
  return (low | (high << 4)) - 32;
}

/// Scale of sub-block s (0..7) of IQ4_XS, in [-32, 31].
constexpr int scale_iq4xs(int s, const BlockIq4Xs& b) {
  const int low = (b.scales_l[s / 2] >> (4 * (s % 2))) & 15;
  const int high = (b.scales_h >> (2 * s)) & 3;
  return (low | (high << 4)) - 32;
}

}  // namespace kinglet
