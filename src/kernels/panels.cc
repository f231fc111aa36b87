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
  std::byte interleaved[stream::covers(type) ? kPanelRows * bytes : 1];
  const std::byte* row[kPanelRows];
  for (int r = 0; r < kPanelRows; ++r) row[r] = r < n_rows ? rows + static_cast<size_t>(r) * row_bytes : kZeros;
  for (int64_t k = 0; k < K; k += stretch_values(type)) {
    const int64_t values = K - k < stretch_values(type) ? K - k : stretch_values(type);
    std::byte* block = stream::covers(type) ? interleaved : panel;
    for_each_field<type>([&]<Field f>() { pack_field<f, bytes>(row, units(type, f, values), block); });
    if constexpr (stream::covers(type)) stream::from_file(type, block, panel);
    if (has_single(type, values))
      transpose_units<uint16_t>(row, 2 * static_cast<size_t>(values - 1), 1, panel + 32 * (values - 1));
    panel += kPanelRows * bytes;
    for (int r = 0; r < n_rows; ++r) row[r] += bytes;
  }
}

template <DType type>
void unpack(const std::byte* panel, int64_t K, int n_rows, std::byte* rows, size_t row_bytes) {
  constexpr size_t bytes = stretch_bytes(type);
  std::byte interleaved[stream::covers(type) ? kPanelRows * bytes : 1];
  std::byte* row[kPanelRows] = {};
  for (int r = 0; r < n_rows; ++r) row[r] = rows + static_cast<size_t>(r) * row_bytes;
  for (int64_t k = 0; k < K; k += stretch_values(type)) {
    const int64_t values = K - k < stretch_values(type) ? K - k : stretch_values(type);
    const std::byte* block = stream::covers(type) ? interleaved : panel;
    if constexpr (stream::covers(type)) stream::to_file(type, panel, interleaved);
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
