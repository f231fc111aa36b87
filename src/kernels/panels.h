// How the SIMD rows lay weights out. A panel holds 16 rows, block by block along K; inside a block every *unit* of the
// canonical block (a byte, a half or a quad of bytes) is followed by the same unit of the other 15 rows:
//
//   the unit of u bytes at offset o of row r's block lies at 16 o + u r of the panel's block.
//
// Quants move in quads, which hold values of four consecutive K (in each nibble or bit plane): so a 64-byte vector is 4 K of
// 16 rows, the operand of the dot-product instructions, and its halves are those of 8 rows. Scales move in bytes and halves:
// a vector of 16 rows' scales is contiguous. Sizes and field offsets stay the canonical ones, times 16.
//
// Two exceptions. The fifth bits of Q5_0 and Q5_1 (bit k of a 32-bit word is value k) are turned so that bit i of byte c is
// value 4 i + c, which puts the bits of quad i where its bytes are. And the K-quants are interleaved so from the order of
// stream_blocks.h, not from the file's.
//
// f32 and f16 move value by value: a vector is one K of 16 rows. bf16 moves by pairs of K (an odd last one alone), the operand of the
// instructions that multiply pairs.
#pragma once

#include "kernels/kernels.h"

namespace kinglet {

/// Sets pack and unpack of every weight type (portable, used by every SIMD row), and canonical = false.
void fill_panel_packers(KernelTable& table);

}  // namespace kinglet
