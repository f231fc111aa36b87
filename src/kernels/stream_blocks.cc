#include "kernels/stream_blocks.h"

#include <cstring>

#include "kernels/kernels.h"

namespace kinglet::stream {
namespace {

using Quad = uint32_t[kPanelRows];  // one of each row

// The words of 8 / bits quads hold fields of so many bits in each byte: field f of word k goes where field k of word f goes. Its own
// inverse.
template <int bits>
void turn_fields(Quad (&w)[8 / bits]) {
  for (int shift = 4; shift >= bits; shift /= 2) {
    const uint32_t mask = shift == 4 ? 0x0f0f0f0fu : shift == 2 ? 0x33333333u : 0x55555555u;
    const int apart = shift / bits;
    for (int k = 0; k < 8 / bits; ++k) {
      if ((k & apart) != 0) continue;
      for (int r = 0; r < kPanelRows; ++r) {
        const uint32_t t = ((w[k][r] >> shift) ^ w[k + apart][r]) & mask;
        w[k + apart][r] ^= t;
        w[k][r] ^= t << shift;
      }
    }
  }
}

enum class Direction { from_file, to_file };

// What a block consists of, carried in one direction. Offsets are in bytes of a row's block.
template <Direction direction>
struct Carry {
  const std::byte* in;
  std::byte* out;

  struct Place {
    size_t from, to;
  };
  static Place place(size_t file, size_t stream) {
    return direction == Direction::from_file ? Place{file, stream} : Place{stream, file};
  }

  // A stretch that moves as it is.
  void move(size_t file, size_t stream, size_t bytes) const {
    const Place at = place(file, stream);
    std::memcpy(out + kPanelRows * at.to, in + kPanelRows * at.from, kPanelRows * bytes);
  }

  // 8 / bits quads, steps from one to the next, whose fields turn.
  template <int bits>
  void turn(size_t file, size_t file_step, size_t stream, size_t stream_step) const {
    const Place at = place(file, stream), step = place(file_step, stream_step);
    Quad w[8 / bits];
    for (size_t i = 0; i < 8 / bits; ++i) std::memcpy(w[i], in + kPanelRows * (at.from + step.from * i), sizeof(Quad));
    turn_fields<bits>(w);
    for (size_t i = 0; i < 8 / bits; ++i) std::memcpy(out + kPanelRows * (at.to + step.to * i), w[i], sizeof(Quad));
  }

  // The nibbles of two slices that share 32 bytes of the file; steps from one slice to the other.
  void nibbles(size_t file, size_t stream, size_t slice_step) const {
    for (size_t j = 0; j < 16; j += 4) turn<4>(file + j, 16, stream + j, slice_step);
  }

  // The pairs of bits of all slices: four share 32 bytes of the file.
  void pairs(size_t file, size_t stream, size_t slice_bytes) const {
    for (size_t h = 0; h < 2; ++h)
      for (size_t half = 0; half < 2; ++half)
        turn<2>(file + 32 * h + 16 * half, 4, stream + 4 * h * slice_bytes + 4 * half, slice_bytes);
  }
};

template <Direction direction>
void carry_q4_k(const Carry<direction>& c) {
  c.move(0, 0, offsetof(BlockQ4K, qs));
  for (size_t pair = 0; pair < 4; ++pair)
    c.nibbles(offsetof(BlockQ4K, qs) + 32 * pair, offsetof(Q4K, slices) + 2 * pair * sizeof(Nibbles), sizeof(Nibbles));
}

template <Direction direction>
void carry_q5_k(const Carry<direction>& c) {
  constexpr size_t kSlice = sizeof(Q5K::Slice), kNibbles = offsetof(Q5K, slices) + offsetof(Q5K::Slice, qs);
  c.move(0, 0, offsetof(BlockQ5K, qh));
  for (size_t pair = 0; pair < 4; ++pair)
    c.nibbles(offsetof(BlockQ5K, qs) + 32 * pair, kNibbles + 2 * pair * kSlice, kSlice);
  c.template turn<1>(offsetof(BlockQ5K, qh), 4, offsetof(Q5K, slices) + offsetof(Q5K::Slice, qh), kSlice);
}

template <Direction direction>
void carry_q6_k(const Carry<direction>& c) {
  constexpr size_t kSlice = sizeof(Q6K::Slice), kNibbles = offsetof(Q6K, slices) + offsetof(Q6K::Slice, qs);
  c.move(offsetof(BlockQ6K, d), offsetof(Q6K, d), 2);
  for (size_t s = 0; s < kSlices; ++s)
    c.move(offsetof(BlockQ6K, scales) + 2 * s, offsetof(Q6K, slices) + kSlice * s, 2);
  for (size_t h = 0; h < 2;
       ++h)  // of the file's 64 bytes for 128 values, one half holds slices 0 and 2, the other 1 and 3
    for (size_t p = 0; p < 2; ++p)
      c.nibbles(offsetof(BlockQ6K, ql) + 64 * h + 32 * p, kNibbles + (4 * h + p) * kSlice, 2 * kSlice);
  c.pairs(offsetof(BlockQ6K, qh), offsetof(Q6K, slices) + offsetof(Q6K::Slice, qh), kSlice);
}

template <Direction direction>
void carry_q2_k(const Carry<direction>& c) {
  constexpr size_t kSlice = sizeof(Q2K::Slice);
  c.move(offsetof(BlockQ2K, d), offsetof(Q2K, d), 4);
  for (size_t s = 0; s < kSlices; ++s)
    c.move(offsetof(BlockQ2K, scales) + 2 * s, offsetof(Q2K, slices) + kSlice * s, 2);
  c.pairs(offsetof(BlockQ2K, qs), offsetof(Q2K, slices) + offsetof(Q2K::Slice, qs), kSlice);
}

template <Direction direction>
void carry_q3_k(const Carry<direction>& c) {
  constexpr size_t kSlice = sizeof(Q3K::Slice);
  c.move(offsetof(BlockQ3K, d), offsetof(Q3K, d), 2);
  c.move(offsetof(BlockQ3K, scales), offsetof(Q3K, scales), sizeof(Q3K::scales));
  c.pairs(offsetof(BlockQ3K, qs), offsetof(Q3K, slices) + offsetof(Q3K::Slice, qs), kSlice);
  c.template turn<1>(offsetof(BlockQ3K, hmask), 4, offsetof(Q3K, slices) + offsetof(Q3K::Slice, qh), kSlice);
}

template <Direction direction>
void carry(DType type, const Carry<direction>& c) {
  switch (type) {
    case DType::q2_k:
      return carry_q2_k(c);
    case DType::q3_k:
      return carry_q3_k(c);
    case DType::q4_k:
      return carry_q4_k(c);
    case DType::q5_k:
      return carry_q5_k(c);
    case DType::q6_k:
      return carry_q6_k(c);
    default:
      return;  // covers() is false
  }
}

}  // namespace

void from_file(DType type, const std::byte* file, std::byte* stream) {
  carry(type, Carry<Direction::from_file>{file, stream});
}

void to_file(DType type, const std::byte* stream, std::byte* file) {
  carry(type, Carry<Direction::to_file>{stream, file});
}

}  // namespace kinglet::stream
