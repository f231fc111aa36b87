// The kernel interface: one table of function pointers per instruction set, composed as rows in priority order. An empty
// entry of a row inherits from the row below it; the lowest row is the reference (ref/), which has every entry.
//
// Files built with wider instruction flags (x86/*_avx2.cc, *_avx512.cc, arm/*_dotprod.cc, *_i8mm.cc) include only this header and
// intrinsics, and keep everything in anonymous namespaces: an inline function compiled for AVX-512 must never be the copy the
// linker keeps.
//
// Layout of activations: f32 rows (T, K), row t at x + t * stride. Weights of a Linear: (N, K), N outputs.
//
// Packing. Every row names, for each data type, how it wants weights: as *panels* of kPanelRows rows. The byte size of a
// panel equals that of the rows in their canonical (GGUF) layout, so a packed copy is as large as the file. In the reference
// row a panel is the canonical rows themselves. In the SIMD rows a panel interleaves its 16 rows in quads of 4 values along K,
// so that one 64-byte vector holds 4 consecutive K of 16 rows: lane = output row, no horizontal sums, activations broadcast.
// A panel can be unpacked to canonical rows again, so that training and quantization read it and nobody keeps two copies.
//
// Determinism: out[t][n] is computed by one fixed sequence of operations along K, whatever T, the panel range and the tile
// are, so results depend neither on the thread count nor on what else is in the batch (within one table row).
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace kinglet {

inline constexpr int kPanelRows = 16;
inline constexpr int kActBlock = 32;  ///< values that share one scale in int8 activations

/// What a matmul kernel reads as activations.
enum class ActKind : uint8_t {
  f32,
  bf16,  ///< rounded to nearest even; an odd last one is followed by zero
  int8   ///< ActBlocks
};

enum class Epilogue : uint8_t { store, add };  ///< out = y, or out += y (residual)

/// out[t, n] (=|+=) sum_k w[n, k] x[t, k] + bias[n], for n in the panels [panel_begin, panel_end) and n < N.
struct MatmulArgs {
  const std::byte* panels;  ///< packed weights; panel p starts at panels + p * panel_bytes
  size_t panel_bytes;
  const std::byte* acts;  ///< T rows: f32, or what the table's convert(act) wrote
  size_t act_stride;      ///< bytes from one row to the next
  float* out;
  int64_t out_stride;  ///< floats from one row to the next
  const float* bias;   ///< (N) or null
  int64_t T, K, N;
  int64_t panel_begin, panel_end;
  Epilogue epilogue;
  std::byte* scratch;  ///< this worker's, matmul_scratch_bytes(T, K) large, 64-byte aligned; null where that is 0
  /// Up to so many tokens are multiplied while a panel is decoded in registers, more by unpacking it once for all; 0: the row's
  /// own choice. Both give the same bits.
  int64_t few = 0;
};

/// How one data type is multiplied on one instruction set.
struct WeightKernels {
  ActKind act = ActKind::f32;
  /// Packs rows [0, n_rows) (n_rows <= 16; missing rows become zeros) of K values in canonical layout, row_bytes apart.
  void (*pack)(const std::byte* rows, size_t row_bytes, int n_rows, int64_t K, std::byte* panel) = nullptr;
  void (*unpack)(const std::byte* panel, int64_t K, int n_rows, std::byte* rows, size_t row_bytes) = nullptr;
  void (*matmul)(const MatmulArgs&) = nullptr;
  size_t (*matmul_scratch_bytes)(int64_t T, int64_t K) = nullptr;  ///< null: none needed
  bool canonical = false;  ///< a panel is the canonical rows themselves: no packing needed
};

/// Keys and values of one layer lie in pages of kPageTokens positions. A page holds, for each key-value head g, a key tile
/// and a value tile: K as (D, kPageTokens), transposed so that lanes are positions; V as (kPageTokens, D).
inline constexpr int kPageTokens = 64;

inline constexpr int kKvBlock = 32;  ///< values of one position that share a scale in an i8 cache
struct KvShape {
  DType type = DType::f16;  ///< f32, f16, bf16, i8
  int32_t G = 0;            ///< key-value heads
  int32_t D = 0;            ///< head width
  constexpr size_t value_bytes() const { return info(type).block_bytes; }
  /// Where a tile's scales begin: with i8, (scale_blocks, kPageTokens) f32 follow the values, max|x| / 127 of each kKvBlock of a position.
  constexpr int32_t scale_blocks() const { return (D + kKvBlock - 1) / kKvBlock; }
  constexpr size_t scale_offset() const {
    return static_cast<size_t>(kPageTokens) * static_cast<size_t>(D) * value_bytes();
  }
  constexpr size_t scale_bytes() const {
    return type == DType::i8 ? static_cast<size_t>(scale_blocks()) * kPageTokens * sizeof(float) : 0;
  }
  constexpr size_t tile_bytes() const { return scale_offset() + scale_bytes(); }
  constexpr size_t page_bytes() const { return 2 * tile_bytes() * static_cast<size_t>(G); }
  constexpr size_t key_offset(int32_t g) const { return 2 * tile_bytes() * static_cast<size_t>(g); }
  constexpr size_t value_offset(int32_t g) const { return key_offset(g) + tile_bytes(); }
};

/// Sequences are cut into splits of kSplitTokens positions (counted from position 0). The result of attention is *defined*
/// as the partial results of the splits merged in order, so that one query alone (splits in parallel) and a whole prompt
/// (splits in turn) give the same bits.
inline constexpr int kSplitTokens = 512;

/// Attention of `queries` consecutive tokens of one sequence, for all the query heads that share key-value head g.
struct AttentionTile {
  KvShape kv;
  const std::byte* const* pages;  ///< block table: pages[i] holds positions [i * 64, i * 64 + 64); null where freed
  const float* q;                 ///< query i, head j (of the group): q + i * q_stride + j * D, rotated already
  int64_t q_stride;
  int32_t queries;
  int32_t group;     ///< query heads that share the key-value head (H / G)
  int32_t g;         ///< which key-value head
  int64_t position;  ///< of query 0; query i attends to positions <= position + i (when causal)
  int64_t window;    ///< > 0: only positions > position + i - window
  int64_t length;    ///< positions stored; non-causal queries attend to all of [0, length)
  bool causal;
  float scale;    ///< on q.k, before softcap
  float softcap;  ///< > 0: s = softcap * tanh(s / softcap)
};

/// Running softmax of one tile: row r = i * group + j of `queries * group` rows. (A table row may count scores in another
/// unit, as times log2(e); its own merge and finish know.)
struct AttentionState {
  float* max;  ///< (rows) running maximum, -inf at the start
  float* sum;  ///< (rows) running sum of exp(s - max)
  float* acc;  ///< (rows, D) running sum of exp(s - max) v
};

/// What a row's kernels are written in; training has kernels of its own for each (train/kernels.h).
enum class Vectors : uint8_t { none, neon, avx2, avx512 };

/// A row of the table: the kernels of one instruction set.
struct KernelTable {
  const char* name;
  Vectors vectors;
  const char* packing;  ///< names the panel layouts; rows with one name share packed copies

  /// x (T rows of K f32, x_stride floats apart) in another form.
  using ConvertRows = void (*)(const float* x, int64_t x_stride, int64_t T, int64_t K, std::byte* out,
                               size_t out_stride);
  /// To int8 rows: per kActBlock values one f32 scale (max|x| / 127, round to nearest even) and the sum of the int8 values, in
  /// whatever layout this row's matmul kernels want.
  ConvertRows quantize_rows;
  ConvertRows round_rows;              ///< to bf16; null where no kernel reads it
  size_t (*act_row_bytes)(int64_t K);  ///< of a row in either form; a multiple of 64
  /// What makes rows of the kind; null for f32.
  ConvertRows convert(ActKind kind) const {
    return kind == ActKind::int8 ? quantize_rows : kind == ActKind::bf16 ? round_rows : nullptr;
  }

  /// out = x / sqrt(mean(x^2) + eps) * weight, one row of n values; out may be x; weight may be null (ones).
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out);
  /// out = (x - mean) / sqrt(var + eps) * weight + bias, one row.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int64_t n, float* out);
  /// Rotates `heads` heads of D values in place; the first `rotary` values of each turn, by cos/sin (rotary / 2 each).
  /// half: pairs (i, i + rotary / 2), as Hugging Face; interleaved: pairs (2i, 2i + 1), as GGUF's llama family.
  void (*rope_half)(float* x, int64_t heads, int64_t D, int64_t rotary, const float* cos, const float* sin);
  void (*rope_interleaved)(float* x, int64_t heads, int64_t D, int64_t rotary, const float* cos, const float* sin);
  /// out = act(gate) * up, n values; out may be gate or up.
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* out);
  void (*gelu_tanh_mul)(const float* gate, const float* up, int64_t n, float* out);
  void (*gelu_mul)(const float* gate, const float* up, int64_t n, float* out);  ///< erf form
  void (*add)(const float* a, const float* b, int64_t n, float* out);
  void (*scale)(const float* x, float factor, int64_t n, float* out);
  void (*gain)(const float* x, const float* weight, const float* bias, int64_t n, float* out);  ///< bias may be null
  void (*softcap)(const float* x, float cap, int64_t n, float* out);                            ///< cap * tanh(x / cap)

  /// Stores the key and value of one token for all heads: k and v are (G, D) f32, slot = position % kPageTokens. What is
  /// beyond f16 or bf16 becomes its largest value: one infinity would turn every later answer to NaN. i8 rounds to nearest even.
  void (*kv_store)(const KvShape& kv, const float* k, const float* v, std::byte* page, int32_t slot);
  /// Adds positions [begin, end) (inside one split) to the state, page by page in order. Positions that no query sees are
  /// not read: their pages may be null, and the slots after the last stored position may hold anything.
  void (*attention_split)(const AttentionTile& tile, int64_t begin, int64_t end, AttentionState state,
                          std::byte* scratch);
  size_t (*attention_scratch_bytes)(int32_t rows, int32_t D);
  /// into += from (the earlier split is `into`); rows x D.
  void (*attention_merge)(AttentionState into, AttentionState from, int64_t rows, int64_t D);
  /// out[i, j, :] = acc / sum, row r = i * group + j to out + i * out_stride + j * D.
  void (*attention_finish)(AttentionState state, int64_t queries, int64_t group, int64_t D, float* out,
                           int64_t out_stride);

  WeightKernels weights[kDTypeCount];
};

/// Dequantizes `n` values (whole blocks) of canonical layout; null for data types that no weight has.
using DequantizeRow = void (*)(const std::byte* blocks, int64_t n, float* out);
DequantizeRow dequantize_row(DType type);
/// The reverse, rounding as ggml's reference does; null for types that Kinglet does not write.
using QuantizeRow = void (*)(const float* x, int64_t n, std::byte* blocks);
QuantizeRow quantize_row(DType type);

/// The rows that this processor can run, best first; the last is "ref". Names: "amx", "avx512bf16", "avx512", "avx2",
/// "i8mm", "dotprod", "neon", "ref".
struct KernelRows {
  const KernelTable* rows[8];
  int count = 0;
};
KernelRows available_kernels();
/// Rows that were compiled in and which this processor cannot run (tests name them as skipped).
KernelRows unavailable_kernels();
/// The named row, or where `name` is empty the best; null where the processor lacks it or the name is unknown.
const KernelTable* find_kernels(const char* name);

}  // namespace kinglet
