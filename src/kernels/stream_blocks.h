// The K-quants' super-blocks in the order in which a product reads them. In a file one byte holds bits of values that are far apart
// (tensor/blocks.h), so that a block is read in several passes; here each *slice* of 32 values lies together, its nibbles
// as Q4_0 has them and its further bits turned so that those of quad i (values 4 i .. 4 i + 3) share their place in a byte. The same
// bits and bytes as in the file, in another order: the processor's own prefetcher follows, and a slice takes few loads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/blocks.h"

namespace kinglet::stream {

inline constexpr int kSlices = kSuperBlock / kBlock;

/// 16 nibbles of two halves: byte i holds value i low and value i + 16 high.
struct Nibbles {
  uint8_t qs[16];
};

struct Q4K {
  uint16_t d, dmin;
  uint8_t scales[12];
  Nibbles slices[kSlices];
};

struct Q5K {
  struct Slice {
    uint8_t qh[4];  ///< bit i of byte c: the fifth of value 4 i + c, as packed Q5_0 has it
    uint8_t qs[16];
  };
  uint16_t d, dmin;
  uint8_t scales[12];
  Slice slices[kSlices];
};

struct Q6K {
  struct Slice {
    int8_t scales[2];
    uint8_t qh[8];  ///< bits 2 (i % 4).. of byte 4 (i / 4) + c: the top two of value 4 i + c
    uint8_t qs[16];
  };
  uint16_t d;
  Slice slices[kSlices];
};

struct Q2K {
  struct Slice {
    uint8_t scales[2];
    uint8_t qs[8];  ///< bits 2 (i % 4).. of byte 4 (i / 4) + c: value 4 i + c
  };
  uint16_t d, dmin;
  Slice slices[kSlices];
};

struct Q3K {
  struct Slice {
    uint8_t qh[4];  ///< the third bits, as Q5K's fifth
    uint8_t qs[8];  ///< the lower two, as Q2K
  };
  uint16_t d;
  uint8_t scales[12];
  Slice slices[kSlices];
};

static_assert(sizeof(Q2K) == sizeof(BlockQ2K) && sizeof(Q3K) == sizeof(BlockQ3K) && sizeof(Q4K) == sizeof(BlockQ4K));
static_assert(sizeof(Q5K) == sizeof(BlockQ5K) && sizeof(Q6K) == sizeof(BlockQ6K));

/// Whether panels of the type have this order.
constexpr bool covers(DType type) {
  return type == DType::q2_k || type == DType::q3_k || type == DType::q4_k || type == DType::q5_k ||
         type == DType::q6_k;
}

/// One block of 16 rows, interleaved as kernels/panels.h says, from the order of tensor/blocks.h to this one, and back.
void from_file(DType type, const std::byte* file, std::byte* stream);
void to_file(DType type, const std::byte* stream, std::byte* file);

}  // namespace kinglet::stream
