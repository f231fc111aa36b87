#include "kernels/panels.h"

#include <cstring>

#include "kernels/stream_blocks.h"
#include "tensor/blocks.h"

namespace kinglet {
namespace {

/// A stretch of a canonical block that moves in units of `unit` bytes; those of unit kFifthBits move as one turned word.
struct Field {
  uint16_t offset, unit, count;
};
constexpr uint16_t kFifthBits = 5;

struct Layout {
  Field fields[4];
  int count;
};
#define FIELD(Block, member, unit) \
  Field { static_cast<uint16_t>(offsetof(Block, member)), unit, static_cast<uint16_t>(sizeof(Block::member) / (unit)) }

constexpr Layout layout(DType type) {
  switch (type) {
    case DType::q4_0:
      return {{FIELD(BlockQ4_0, d, 2), FIELD(BlockQ4_0, qs, 4)}, 2};
    case DType::iq4_nl:
      return {{FIELD(BlockIq4Nl, d, 2), FIELD(BlockIq4Nl, qs, 4)}, 2};
    case DType::q4_1:
      return {{FIELD(BlockQ4_1, d, 2), FIELD(BlockQ4_1, m, 2), FIELD(BlockQ4_1, qs, 4)}, 3};
    case DType::q5_0:
      return {{FIELD(BlockQ5_0, d, 2), {offsetof(BlockQ5_0, qh), kFifthBits, 1}, FIELD(BlockQ5_0, qs, 4)}, 3};
    case DType::q5_1:
      return {{FIELD(BlockQ5_1, d, 2),
               FIELD(BlockQ5_1, m, 2),
               {offsetof(BlockQ5_1, qh), kFifthBits, 1},
               FIELD(BlockQ5_1, qs, 4)},
              4};
    case DType::q8_0:
      return {{FIELD(BlockQ8_0, d, 2), FIELD(BlockQ8_0, qs, 4)}, 2};
    case DType::q2_k:
      return {{FIELD(BlockQ2K, scales, 1), FIELD(BlockQ2K, qs, 4), {offsetof(BlockQ2K, d), 2, 2}}, 3};
    case DType::q3_k:
      return {{FIELD(BlockQ3K, hmask, 4), FIELD(BlockQ3K, qs, 4), FIELD(BlockQ3K, scales, 1), FIELD(BlockQ3K, d, 2)},
              4};
    case DType::q4_k:
      return {{{offsetof(BlockQ4K, d), 2, 2}, FIELD(BlockQ4K, scales, 1), FIELD(BlockQ4K, qs, 4)}, 3};
    case DType::q5_k:
      return {
          {{offsetof(BlockQ5K, d), 2, 2}, FIELD(BlockQ5K, scales, 1), FIELD(BlockQ5K, qh, 4), FIELD(BlockQ5K, qs, 4)},
          4};
    case DType::q6_k:
      return {{FIELD(BlockQ6K, ql, 4), FIELD(BlockQ6K, qh, 4), FIELD(BlockQ6K, scales, 1), FIELD(BlockQ6K, d, 2)}, 4};
    case DType::iq4_xs:
      return {{{offsetof(BlockIq4Xs, d), 2, 2}, FIELD(BlockIq4Xs, scales_l, 1), FIELD(BlockIq4Xs, qs, 4)}, 3};
    case DType::f32:
      return {{{0, 4, 64}}, 1};
    case DType::bf16:
      return {{{0, 4, 32}}, 1};
    default:
      return {{{0, 2, 64}}, 1};  // f16
  }
}
#undef FIELD

/// The types without blocks are cut into stretches of 64 values.
constexpr int64_t stretch_values(DType type) { return is_quantized(type) ? info(type).block_values : 64; }
constexpr size_t stretch_bytes(DType type) {
  return is_quantized(type) ? info(type).block_bytes : 64 * info(type).block_bytes;
}

constexpr uint32_t turn_fifth_bits(uint32_t bits) {
  uint32_t out = 0;
  for (int c = 0; c < 4; ++c) {
    uint32_t y = (bits >> c) & 0x11111111u;  // bits 4 i, gathered to bits i
    y = (y | y >> 3) & 0x03030303u;
    y = (y | y >> 6) & 0x000f000fu;
    y = (y | y >> 12) & 0xffu;
    out |= y << (8 * c);
  }
  return out;
}

constexpr uint32_t turn_fifth_bits_back(uint32_t bits) {
  uint32_t out = 0;
  for (int c = 0; c < 4; ++c) {
    uint32_t y = (bits >> (8 * c)) & 0xffu;
    y = (y | y << 12) & 0x000f000fu;
    y = (y | y << 6) & 0x03030303u;
    y = (y | y << 3) & 0x11111111u;
    out |= y << c;
  }
  return out;
}
static_assert(turn_fifth_bits_back(turn_fifth_bits(0x8421c37eu)) == 0x8421c37eu);

template <typename Unit>
Unit load(const std::byte* p) {
  Unit u;
  std::memcpy(&u, p, sizeof(u));
  return u;
}

using V16 = uint8_t __attribute__((vector_size(16)));
using V4 = uint32_t __attribute__((vector_size(16)));

void store(std::byte* p, V4 v) { std::memcpy(p, &v, sizeof(v)); }

/// Four quads of each of 16 rows: row[r][4 j ..] to out[64 j + 4 r].
void transpose_quads(const std::byte* const* row, size_t offset, std::byte* out) {
  for (int r = 0; r < kPanelRows; r += 4) {
    const V4 a = load<V4>(row[r] + offset), b = load<V4>(row[r + 1] + offset);
    const V4 c = load<V4>(row[r + 2] + offset), d = load<V4>(row[r + 3] + offset);
    const V4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const V4 ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    store(out + 4 * r, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
    store(out + 4 * r + 64, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
    store(out + 4 * r + 128, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
    store(out + 4 * r + 192, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
  }
}

/// One round of interleaving 16 vectors; four rounds transpose them as 16 x 16 bytes.
void interleave_round(const V16* in, V16* out) {
  for (int i = 0; i < 8; ++i) {
    out[2 * i] = __builtin_shufflevector(in[i], in[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    out[2 * i + 1] =
        __builtin_shufflevector(in[i], in[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  }
}

/// 16 bytes of each of 16 rows; columns [skip, 16) to out.
void transpose_bytes(const std::byte* const* row, size_t offset, int skip, std::byte* out) {
  V16 a[16], b[16];
  for (int r = 0; r < kPanelRows; ++r) a[r] = load<V16>(row[r] + offset);
  interleave_round(a, b);
  interleave_round(b, a);
  interleave_round(a, b);
  interleave_round(b, a);
  for (int j = skip; j < 16; ++j) std::memcpy(out + 16 * (j - skip), &a[j], 16);
}

/// 8 halves of each of 16 rows: row[r][2 j ..] to out[32 j + 2 r].
void transpose_halves(const std::byte* const* row, size_t offset, std::byte* out) {
  V16 a[16], b[16];
  for (int r = 0; r < kPanelRows; ++r) a[r] = load<V16>(row[r] + offset);
  const auto round = [](const V16* in, V16* to) {
    for (int i = 0; i < 8; ++i) {
      to[2 * i] = __builtin_shufflevector(in[i], in[i + 8], 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
      to[2 * i + 1] =
          __builtin_shufflevector(in[i], in[i + 8], 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
    }
  };
  round(a, b);
  round(b, a);
  round(a, b);
  round(b, a);
  std::memcpy(out, a, sizeof(a));
}

template <typename Unit>
void transpose_units(const std::byte* const* row, size_t offset, int count, std::byte* out) {
  for (int j = 0; j < count; ++j)
    for (int r = 0; r < kPanelRows; ++r)
      std::memcpy(out + sizeof(Unit) * static_cast<size_t>(kPanelRows * j + r),
                  row[r] + offset + sizeof(Unit) * static_cast<size_t>(j), sizeof(Unit));
}

/// One field of a block of `block_bytes`, `count` units of it (fewer at the end of rows without blocks).
template <Field f, size_t block_bytes>
void pack_field(const std::byte* const* row, int count, std::byte* block) {
  std::byte* out = block + kPanelRows * f.offset;
  int done = 0;
  if constexpr (f.unit == kFifthBits) {
    uint32_t words[kPanelRows];  // three loops, of which the middle one becomes vectors
    for (int r = 0; r < kPanelRows; ++r) words[r] = load<uint32_t>(row[r] + f.offset);
    for (uint32_t& word : words) word = turn_fifth_bits(word);
    std::memcpy(out, words, sizeof(words));
  } else if constexpr (f.unit == 4) {
    for (; done + 4 <= count; done += 4)
      transpose_quads(row, f.offset + 4u * static_cast<size_t>(done), out + 64 * done);
    transpose_units<uint32_t>(row, f.offset + 4u * static_cast<size_t>(done), count - done, out + 64 * done);
  } else if constexpr (f.unit == 2) {
    for (; done + 8 <= count; done += 8)
      transpose_halves(row, f.offset + 2u * static_cast<size_t>(done), out + 32 * done);
    transpose_units<uint16_t>(row, f.offset + 2u * static_cast<size_t>(done), count - done, out + 32 * done);
  } else if constexpr (f.count >= 12) {  // read 16 bytes that lie inside the block
    constexpr size_t start = f.offset + 16u <= block_bytes ? f.offset : block_bytes - 16;
    constexpr int skip = static_cast<int>(f.offset - start);
    std::byte columns[16 * 16];
    transpose_bytes(row, start, skip, columns);
    std::memcpy(out, columns, 16u * f.count);
  } else {
    transpose_units<uint8_t>(row, f.offset, count, out);
  }
}

template <Field f>
void unpack_field(const std::byte* block, int n_rows, int count, std::byte* const* row) {
  const std::byte* in = block + kPanelRows * f.offset;
  constexpr size_t unit = f.unit == kFifthBits ? 4 : f.unit;
  for (int j = 0; j < count; ++j) {
    for (int r = 0; r < n_rows; ++r) {
      const std::byte* from = in + unit * static_cast<size_t>(kPanelRows * j + r);
      std::byte* to = row[r] + f.offset + unit * static_cast<size_t>(j);
      if constexpr (f.unit == kFifthBits) {
        const uint32_t bits = turn_fifth_bits_back(load<uint32_t>(from));
        std::memcpy(to, &bits, 4);
      } else {
        std::memcpy(to, from, unit);
      }
    }
  }
}

/// 16 rows' quads, and those of one interleaved block.
using Quad = uint32_t[kPanelRows];

/// The words of 8 / bits quads hold fields of so many bits in each byte: field f of word k goes where field k of word f goes. Its own
/// inverse.
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

/// A member that moves as it is, and 8 / bits quads whose fields turn. Offsets are in bytes of a row's block: `file` in the order of
/// tensor/blocks.h, `stream` in that of stream_blocks.h; the steps are from one quad to the next.
struct Move {
  size_t file, stream, bytes;
};
struct Turn {
  int bits;
  size_t file, file_step, stream, stream_step;
};

/// Calls move() and turn() with all that a block of the type consists of.
template <DType type, typename OnMove, typename OnTurn>
void describe_stream(OnMove&& move, OnTurn&& turn) {
  using namespace stream;
  // Two slices' nibbles share 32 bytes of the file: `apart` slices lie between them.
  const auto nibbles = [&](size_t file, size_t slices, size_t slice_bytes, size_t apart) {
    for (size_t pair = 0; pair < 4; ++pair) {
      const size_t first = apart == 1 ? 2 * pair : 4 * (pair / 2) + pair % 2;
      for (size_t j = 0; j < 4; ++j)
        turn(Turn{4, file + 32 * pair + 4 * j, 16, slices + slice_bytes * first + 4 * j, slice_bytes * apart});
    }
  };
  // Four slices' pairs of bits share 32 bytes of the file.
  const auto pairs = [&](size_t file, size_t slices, size_t slice_bytes) {
    for (size_t h = 0; h < 2; ++h)
      for (size_t half = 0; half < 2; ++half)
        turn(Turn{2, file + 32 * h + 16 * half, 4, slices + slice_bytes * 4 * h + 4 * half, slice_bytes});
  };
  if constexpr (type == DType::q4_k) {
    move(Move{0, 0, offsetof(BlockQ4K, qs)});
    nibbles(offsetof(BlockQ4K, qs), offsetof(Q4K, slices), sizeof(Nibbles), 1);
  } else if constexpr (type == DType::q5_k) {
    move(Move{0, 0, offsetof(BlockQ5K, qh)});
    nibbles(offsetof(BlockQ5K, qs), offsetof(Q5K, slices) + offsetof(Q5K::Slice, qs), sizeof(Q5K::Slice), 1);
    turn(Turn{1, offsetof(BlockQ5K, qh), 4, offsetof(Q5K, slices), sizeof(Q5K::Slice)});
  } else if constexpr (type == DType::q6_k) {
    move(Move{offsetof(BlockQ6K, d), 0, 2});
    for (size_t s = 0; s < kSlices; ++s)
      move(Move{offsetof(BlockQ6K, scales) + 2 * s, offsetof(Q6K, slices) + sizeof(Q6K::Slice) * s, 2});
    nibbles(offsetof(BlockQ6K, ql), offsetof(Q6K, slices) + offsetof(Q6K::Slice, qs), sizeof(Q6K::Slice), 2);
    pairs(offsetof(BlockQ6K, qh), offsetof(Q6K, slices) + offsetof(Q6K::Slice, qh), sizeof(Q6K::Slice));
  } else if constexpr (type == DType::q2_k) {
    move(Move{offsetof(BlockQ2K, d), 0, 4});
    for (size_t s = 0; s < kSlices; ++s)
      move(Move{offsetof(BlockQ2K, scales) + 2 * s, offsetof(Q2K, slices) + sizeof(Q2K::Slice) * s, 2});
    pairs(offsetof(BlockQ2K, qs), offsetof(Q2K, slices) + offsetof(Q2K::Slice, qs), sizeof(Q2K::Slice));
  } else if constexpr (type == DType::q3_k) {
    move(Move{offsetof(BlockQ3K, d), 0, 2});
    move(Move{offsetof(BlockQ3K, scales), offsetof(Q3K, scales), 12});
    pairs(offsetof(BlockQ3K, qs), offsetof(Q3K, slices) + offsetof(Q3K::Slice, qs), sizeof(Q3K::Slice));
    turn(Turn{1, offsetof(BlockQ3K, hmask), 4, offsetof(Q3K, slices), sizeof(Q3K::Slice)});
  }
}

template <int bits>
void turn_quads(const std::byte* from, size_t from_step, std::byte* to, size_t to_step) {
  Quad w[8 / bits];
  for (size_t i = 0; i < 8 / bits; ++i) std::memcpy(w[i], from + kPanelRows * from_step * i, sizeof(Quad));
  turn_fields<bits>(w);
  for (size_t i = 0; i < 8 / bits; ++i) std::memcpy(to + kPanelRows * to_step * i, w[i], sizeof(Quad));
}

void turn_quads(int bits, const std::byte* from, size_t from_step, std::byte* to, size_t to_step) {
  if (bits == 4) turn_quads<4>(from, from_step, to, to_step);
  else if (bits == 2) turn_quads<2>(from, from_step, to, to_step);
  else turn_quads<1>(from, from_step, to, to_step);
}

/// An interleaved block of 16 rows, from the order of the file to that of the stream.
template <DType type>
void to_stream(const std::byte* file, std::byte* out) {
  describe_stream<type>(
      [&](const Move& m) {
        std::memcpy(out + kPanelRows * m.stream, file + kPanelRows * m.file, kPanelRows * m.bytes);
      },
      [&](const Turn& t) {
        turn_quads(t.bits, file + kPanelRows * t.file, t.file_step, out + kPanelRows * t.stream, t.stream_step);
      });
}

template <DType type>
void from_stream(const std::byte* stream, std::byte* out) {
  describe_stream<type>(
      [&](const Move& m) {
        std::memcpy(out + kPanelRows * m.file, stream + kPanelRows * m.stream, kPanelRows * m.bytes);
      },
      [&](const Turn& t) {
        turn_quads(t.bits, stream + kPanelRows * t.stream, t.stream_step, out + kPanelRows * t.file, t.file_step);
      });
}

/// Of the types whose slices are gathered (stream_blocks.h).
constexpr bool has_stream(DType type) {
  return type == DType::q2_k || type == DType::q3_k || type == DType::q4_k || type == DType::q5_k ||
         type == DType::q6_k;
}

/// Calls f.template operator()<field>() for each field of the type.
template <DType type, typename F>
void for_each_field(F&& f) {
  constexpr Layout l = layout(type);
  if constexpr (l.count > 0) f.template operator()<l.fields[0]>();
  if constexpr (l.count > 1) f.template operator()<l.fields[1]>();
  if constexpr (l.count > 2) f.template operator()<l.fields[2]>();
  if constexpr (l.count > 3) f.template operator()<l.fields[3]>();
}

/// Units of a field in a stretch that holds `values` values: all of a block, else whole ones.
constexpr int units(DType type, const Field& f, int64_t values) {
  return is_quantized(type) ? f.count : static_cast<int>(values * f.count / stretch_values(type));
}

/// The value that an odd number of bf16 ends with, which has no pair: its place in a row.
constexpr bool has_single(DType type, int64_t values) { return type == DType::bf16 && values % 2 != 0; }

template <DType type>
void pack(const std::byte* rows, size_t row_bytes, int n_rows, int64_t K, std::byte* panel) {
  constexpr size_t bytes = stretch_bytes(type);
  static constexpr std::byte kZeros[bytes] = {};
  std::byte interleaved[has_stream(type) ? kPanelRows * bytes : 1];
  const std::byte* row[kPanelRows];
  for (int r = 0; r < kPanelRows; ++r) row[r] = r < n_rows ? rows + static_cast<size_t>(r) * row_bytes : kZeros;
  for (int64_t k = 0; k < K; k += stretch_values(type)) {
    const int64_t values = K - k < stretch_values(type) ? K - k : stretch_values(type);
    std::byte* block = has_stream(type) ? interleaved : panel;
    for_each_field<type>([&]<Field f>() { pack_field<f, bytes>(row, units(type, f, values), block); });
    if constexpr (has_stream(type)) to_stream<type>(block, panel);
    if (has_single(type, values))
      transpose_units<uint16_t>(row, 2 * static_cast<size_t>(values - 1), 1, panel + 32 * (values - 1));
    panel += kPanelRows * bytes;
    for (int r = 0; r < n_rows; ++r) row[r] += bytes;
  }
}

template <DType type>
void unpack(const std::byte* panel, int64_t K, int n_rows, std::byte* rows, size_t row_bytes) {
  constexpr size_t bytes = stretch_bytes(type);
  std::byte interleaved[has_stream(type) ? kPanelRows * bytes : 1];
  std::byte* row[kPanelRows] = {};
  for (int r = 0; r < n_rows; ++r) row[r] = rows + static_cast<size_t>(r) * row_bytes;
  for (int64_t k = 0; k < K; k += stretch_values(type)) {
    const int64_t values = K - k < stretch_values(type) ? K - k : stretch_values(type);
    const std::byte* block = has_stream(type) ? interleaved : panel;
    if constexpr (has_stream(type)) from_stream<type>(panel, interleaved);
    for_each_field<type>([&]<Field f>() { unpack_field<f>(block, n_rows, units(type, f, values), row); });
    for (int r = 0; has_single(type, values) && r < n_rows; ++r)
      std::memcpy(row[r] + 2 * (values - 1), panel + 32 * (values - 1) + 2 * r, 2);
    panel += kPanelRows * bytes;
    for (int r = 0; r < n_rows; ++r) row[r] += bytes;
  }
}

template <DType... types>
void fill(KernelTable& table) {
  ((table.weights[static_cast<size_t>(types)].pack = pack<types>,
    table.weights[static_cast<size_t>(types)].unpack = unpack<types>,
    table.weights[static_cast<size_t>(types)].canonical = false),
   ...);
}

}  // namespace

void fill_panel_packers(KernelTable& table) {
  fill<DType::f32, DType::f16, DType::bf16, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0,
       DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs>(table);
}

}  // namespace kinglet
