#include "train/product.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/kernels.h"
#include "train/decode_panels.h"
#include "train/reserve.h"

namespace kinglet::train {
namespace {

// K is cut into blocks, whose sums are added in order: a block of a panel of B stays in the caches near the core.
constexpr int64_t kBlockK = 256;
// B is packed in parts of at most so many floats, all blocks of K first: 4 MB leave room for the rest of a shared cache.
constexpr int64_t kPackedFloats = int64_t{1} << 20;
// Columns of a part are a multiple of this, so that parts of a quantized row are whole blocks.
constexpr int64_t kPartColumns = 256;
constexpr int64_t kMostTileRows = 96;
// A worker's scratch: a dequantized part of B, then a part of A; the int8 kernels have it to themselves.
constexpr int64_t kScratchFloats = kBlockK * (kPartColumns + kMostTileRows);
constexpr size_t kUnpackedBytes = size_t{kPanelRows} * kPartColumns * sizeof(float);
constexpr int64_t kRowUnit = 6;  // rows of a register tile
// A worker's tile of a turned product: rows of the weights by tokens.
constexpr int64_t kTurnedTokens = 512, kTurnedFloats = kMostTileRows * kTurnedTokens;

/// Tiles enough for the threads to finish at about the same time. An element's sum is the same in any tile, so the cut may
/// depend on their number.
int64_t many_tiles(const Parallel& parallel) { return int64_t{4} * parallel.workers; }
int64_t tile_rows(int64_t M, int64_t tiles) {
  return std::clamp(round_up(ceil_div(M, tiles), kRowUnit), 4 * kRowUnit, kMostTileRows);
}

}  // namespace

struct Products::Right {
  const Parameter* weight = nullptr;  ///< W (N, K), as f32 values or as stored
  const float* rows = nullptr;        ///< else f32 rows
  int64_t row_stride = 0;
  bool transposed = false;  ///< B is W^T: its columns are the rows here
};

struct Products::Task {
  const float* a;
  int64_t a_row, a_column;  ///< as in ProductBlock
  Right b;
  const float* bias;
  float* c;
  int64_t c_row;
  int64_t M, N, K;
  Write write;
  Factors factors = Factors::f32;
  bool turned = false;  ///< C^T is asked for: element (m, n) goes to c[n * c_row + m]

  /// 32-bit words that so many values of K take in a column of packed B.
  int64_t words(int64_t values) const { return factors == Factors::bf16 ? ceil_div<int64_t>(values, 2) : values; }
};

/// Rows [k0, k0 + K) and columns [n0, n0 + N) of B.
struct Products::Part {
  int64_t k0, n0, K, N;
  int64_t depth(int64_t k) const { return std::min(kBlockK, K - k); }
};

/// Rows [m0, m0 + M) of C and the part's columns [n, n + N).
struct Products::Tile {
  int64_t m0, M, n, N;
};

/// Where a tile's element (m, n) is: c[m * row + n].
struct Products::Target {
  float* c;
  int64_t row;
};

Result<Products> Products::create(const KernelTable& kernels, const GradientKernels& gradients,
                                  const Parallel& parallel, Ledger& ledger, Compute compute) {
  Products out;
  out.table_ = &kernels;
  out.kernels_ = &gradients;
  out.compute_ = compute;
  if (compute != Compute::f32) out.bf16_ = bf16_kernels(kernels);
  out.parallel_ = parallel;
  out.ledger_ = &ledger;
  size_t scratch = kScratchFloats * sizeof(float) + kUnpackedBytes;
  for (const WeightKernels& k : kernels.weights)  // it depends on whether there are few or many rows
    if (k.matmul_scratch_bytes != nullptr) scratch = std::max(scratch, k.matmul_scratch_bytes(1024, 4096));
  out.turned_floats_ = static_cast<int64_t>(round_up<size_t>(scratch, 64) / sizeof(float));
  out.scratch_floats_ = out.turned_floats_ + kTurnedFloats;
  const auto workers = static_cast<uint64_t>(parallel.workers);
  KL_ASSIGN(out.packed_, Block::allocate(kPackedFloats * sizeof(float), MemoryUse::activations, ledger));
  KL_ASSIGN(out.scratch_, Block::allocate(workers * static_cast<uint64_t>(out.scratch_floats_) * sizeof(float),
                                          MemoryUse::activations, ledger));
  return out;
}

void Products::forward(Matrix x, const Parameter& w, const float* bias, Matrix y, Write write) const {
  if (w.panels != nullptr) return forward_panels(x, w, bias, y, write);
  Task task = forward_task(x, w, bias, y, write);
  task.factors = factors(compute_ == Compute::bf16);
  run(turn_where_shorter(task));
}

void Products::forward_f32(Matrix x, const Parameter& w, Matrix y, Write write) const {
  run(turn_where_shorter(forward_task(x, w, nullptr, y, write)));
}

Products::Task Products::forward_task(Matrix x, const Parameter& w, const float* bias, Matrix y, Write write) const {
  return {.a = x.data,
          .a_row = x.stride,
          .a_column = 1,
          .b = {.weight = &w, .transposed = true},
          .bias = bias,
          .c = y.data,
          .c_row = y.stride,
          .M = y.rows,
          .N = y.columns,
          .K = x.columns,
          .write = write};
}

void Products::row_squares(const Parameter& w, std::span<double> out) const {
  const int64_t N = w.shape[0], K = w.shape[1];
  std::fill(out.begin(), out.end(), 0.0);
  parallel_.for_each(ceil_div<int64_t>(N, kPanelRows), [&](int64_t panel, int worker) {
    const int64_t first = panel * kPanelRows, height = std::min<int64_t>(kPanelRows, N - first);
    for (int64_t k = 0; k < K; k += kBlockK) {
      const int64_t length = std::min(kBlockK, K - k);
      const float* rows = w.values.data() + first * K + k;
      if (w.values.empty()) {
        dequantize(w, first, k, height, length, scratch(worker));
        rows = scratch(worker);
      }
      const int64_t stride = w.values.empty() ? length : K;
      for (int64_t i = 0; i < height; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < length; ++j) sum += double{rows[i * stride + j]} * double{rows[i * stride + j]};
        out[static_cast<size_t>(first + i)] += sum;
      }
    }
  });
}

Status Products::reserve(int64_t rows, int64_t K) {
  return train::reserve(act_rows_, static_cast<uint64_t>(rows) * table_->act_row_bytes(K), *ledger_);
}

void Products::convert_rows(Matrix x, ActKind kind) {
  act_stride_ = table_->act_row_bytes(x.columns);
  constexpr int64_t kRows = 16;
  const auto make = table_->convert(kind);
  parallel_.for_each(ceil_div(x.rows, kRows), [&](int64_t chunk, int) {
    const int64_t first = chunk * kRows;
    make(x.row(first), x.stride, std::min(kRows, x.rows - first), x.columns,
         act_rows_.data() + static_cast<size_t>(first) * act_stride_, act_stride_);
  });
}

void Products::forward_panels(Matrix x, const Parameter& w, const float* bias, Matrix y, Write write) const {
  constexpr int64_t kPanels = 8;  // of one work item
  const WeightKernels& k = table_->weights[static_cast<size_t>(w.dtype)];
  const bool converted = k.act != ActKind::f32;
  const int64_t panels = ceil_div<int64_t>(y.columns, kPanelRows);
  parallel_.for_each(ceil_div(panels, kPanels), [&](int64_t chunk, int worker) {
    k.matmul({.panels = w.panels,
              .panel_bytes = w.panel_bytes(),
              .acts = converted ? act_rows_.data() : reinterpret_cast<const std::byte*>(x.data),
              .act_stride = converted ? act_stride_ : static_cast<size_t>(x.stride) * sizeof(float),
              .out = y.data,
              .out_stride = y.stride,
              .bias = bias,
              .T = x.rows,
              .K = x.columns,
              .N = y.columns,
              .panel_begin = chunk * kPanels,
              .panel_end = std::min(panels, (chunk + 1) * kPanels),
              .epilogue = write == Write::add ? Epilogue::add : Epilogue::store,
              .scratch = reinterpret_cast<std::byte*>(scratch(worker))});
  });
}

void Products::input_gradient(Matrix dy, const Parameter& w, Matrix dx, Write write) const {
  run({.a = dy.data,
       .a_row = dy.stride,
       .a_column = 1,
       .b = {.weight = &w},
       .bias = nullptr,
       .c = dx.data,
       .c_row = dx.stride,
       .M = dx.rows,
       .N = dx.columns,
       .K = dy.columns,
       .write = write,
       .factors = factors(compute_ == Compute::bf16 || w.values.empty())});
}

void Products::weight_gradient(Matrix dy, Matrix x, float* dw) const {
  run({.a = dy.data,
       .a_row = 1,
       .a_column = dy.stride,
       .b = {.rows = x.data, .row_stride = x.stride},
       .bias = nullptr,
       .c = dw,
       .c_row = x.columns,
       .M = dy.columns,
       .N = x.columns,
       .K = x.rows,
       .write = Write::add,
       .factors = factors(compute_ == Compute::bf16)});
}

// y = x W^T as y^T = W x^T: what is packed then is x, a few tokens, and large weights are read where they lie. Every element is the same
// sequence of operations either way. (A gradient of the input would read columns of W, which have to be brought together first: that
// gains nothing.)
Products::Task Products::turn_where_shorter(const Task& task) const {
  const Right& b = task.b;
  if (b.weight == nullptr || b.weight->values.empty() || task.factors != Factors::f32) return task;
  if (task.M * (task.N + task.K) > task.N * task.K) return task;  // A is packed and C turned, instead of B packed
  Task turned = task;
  turned.a = b.weight->values.data();
  turned.a_row = b.weight->shape[1];
  turned.a_column = 1;
  turned.b = {.rows = task.a, .row_stride = task.a_row, .transposed = true};
  std::swap(turned.M, turned.N);
  turned.turned = true;
  return turned;
}

void Products::run(const Task& task) const {
  const int64_t whole_K = round_up(task.K, kBlockK), most_N = task.turned ? kTurnedTokens : kPartColumns;
  const int64_t part_K = std::min(whole_K, kPackedFloats / most_N / kBlockK * kBlockK);
  const int64_t part_N =
      task.turned ? most_N : std::max(kPackedFloats / task.words(part_K) / kPartColumns * kPartColumns, kPartColumns);
  for (int64_t n0 = 0; n0 < task.N; n0 += part_N)
    for (int64_t k0 = 0; k0 < task.K; k0 += part_K) {
      const Part part{k0, n0, std::min(part_K, task.K - k0), std::min(part_N, task.N - n0)};
      pack(task, part);
      multiply(task, part);
    }
}

float* Products::scratch(int worker) const {
  return reinterpret_cast<float*>(scratch_.data()) + worker * scratch_floats_;
}

/// Where a part of A goes.
float* Products::near_scratch(int worker) const { return scratch(worker) + kBlockK * kPartColumns; }

// Packed B: block of K by block, inside it panel by panel. The last block of K may be short.
float* Products::packed_panel(const Task& task, const Part& part, int64_t k, int64_t column) const {
  return reinterpret_cast<float*>(packed_.data()) + task.words(k) * round_up(part.N, kernels_->panel_columns) +
         column * task.words(part.depth(k));
}

void Products::pack(const Task& task, const Part& part) const {
  const int64_t chunks = ceil_div(part.K, kBlockK) * ceil_div(part.N, kPartColumns);
  parallel_.for_each(chunks, [&](int64_t chunk, int worker) { pack_chunk(task, part, chunk, worker); });
}

// `height` rows of `length` values of a matrix that is held as stored, from (row, column): whole blocks. `out` has room for a
// part of B and of A, and for whole panels of rows; what is unpacked lies behind.
void Products::dequantize(const Parameter& w, int64_t row, int64_t column, int64_t height, int64_t length,
                          float* out) const {
  if (!w.nf4.empty()) {
    for (int64_t i = 0; i < height; ++i) w.nf4.decode(row + i, column, length, out + i * length);
    return;
  }
  const DequantizeRow convert = dequantize_row(w.dtype);
  const size_t skipped = *kinglet::row_bytes(w.dtype, static_cast<uint64_t>(column));
  const WeightKernels& k = table_->weights[static_cast<size_t>(w.dtype)];
  if (w.panels == nullptr || k.canonical) {
    const std::byte* rows = w.panels == nullptr ? w.rows : w.panels;
    for (int64_t i = 0; i < height; ++i)
      convert(rows + static_cast<size_t>(row + i) * w.row_bytes + skipped, length, out + i * length);
    return;
  }
  // Blocks of K follow each other in a panel (kernels/panels.h), so a part of one can be unpacked. Rows begin at a panel.
  if (const DecodePanel decode = panel_decoder(*table_, w.dtype)) {
    for (int64_t i = 0; i < height; i += kPanelRows)
      decode(w.panels + static_cast<size_t>((row + i) / kPanelRows) * w.panel_bytes() + skipped * kPanelRows, length,
             out + i * length, length);
    return;
  }
  const size_t bytes = *kinglet::row_bytes(w.dtype, static_cast<uint64_t>(length));
  auto* unpacked = reinterpret_cast<std::byte*>(out + kScratchFloats);
  for (int64_t i = 0; i < height; i += kPanelRows) {
    const auto rows = static_cast<int>(std::min<int64_t>(kPanelRows, height - i));
    k.unpack(w.panels + static_cast<size_t>((row + i) / kPanelRows) * w.panel_bytes() + skipped * kPanelRows, length,
             rows, unpacked, bytes);
    for (int r = 0; r < rows; ++r) convert(unpacked + static_cast<size_t>(r) * bytes, length, out + (i + r) * length);
  }
}

// `height` rows of `length` values of the matrix as it lies, from (row, column); `length` floats apart where they are
// decoded, else as the matrix is.
const float* Products::rows_of(const Right& b, int64_t row, int64_t column, int64_t height, int64_t length,
                               int worker) const {
  if (b.weight == nullptr) return b.rows + row * b.row_stride + column;
  if (!b.weight->values.empty()) return b.weight->values.data() + row * b.weight->shape[1] + column;
  dequantize(*b.weight, row, column, height, length, scratch(worker));
  return scratch(worker);
}

// One chunk: a block of K and kPartColumns columns.
void Products::pack_chunk(const Task& task, const Part& part, int64_t chunk, int worker) const {
  const int64_t across = ceil_div(part.N, kPartColumns), columns = kernels_->panel_columns;
  const int64_t k = chunk / across * kBlockK, n = chunk % across * kPartColumns;
  const int64_t depth = part.depth(k), width = std::min(kPartColumns, part.N - n);
  const Right& b = task.b;
  const bool decoded = b.weight != nullptr && b.weight->values.empty();
  const int64_t length = b.transposed ? depth : width;
  const int64_t stride = decoded ? length : b.weight == nullptr ? b.row_stride : b.weight->shape[1];
  if (b.transposed) {
    const float* rows = rows_of(b, part.n0 + n, part.k0 + k, width, depth, worker);
    for (int64_t p = 0; p < width; p += columns)
      pack_transposed(task, rows + p * stride, stride, std::min(columns, width - p), depth,
                      packed_panel(task, part, k, n + p), worker);
    return;
  }
  for (int64_t i = 0; i < depth; i += kPanelRows) {  // decoded rows stay in the nearest cache
    const int64_t height = std::min<int64_t>(kPanelRows, depth - i);
    const float* rows = rows_of(b, part.k0 + k + i, part.n0 + n, height, width, worker);
    for (int64_t p = 0; p < width; p += columns) {
      float* to = packed_panel(task, part, k, n + p) + task.words(i) * columns;
      const int64_t here = std::min(columns, width - p);
      if (task.factors == Factors::bf16) {
        bf16_->pair_rows(rows + p, stride, height, here, reinterpret_cast<uint32_t*>(to), columns);
        continue;
      }
      for (int64_t r = 0; r < height; ++r)
        std::memcpy(to + r * columns, rows + r * stride + p, static_cast<size_t>(here) * sizeof(float));
    }
  }
}

// A panel whose columns are `columns` rows of K values.
void Products::pack_transposed(const Task& task, const float* rows, int64_t stride, int64_t columns, int64_t K,
                               float* panel, int worker) const {
  const int64_t out_row = kernels_->panel_columns;
  if (task.factors == Factors::f32) return kernels_->transpose(rows, stride, columns, K, panel, out_row);
  float* pairs = near_scratch(worker);  // moved as 32-bit words
  bf16_->pair_along(rows, stride, columns, K, reinterpret_cast<uint32_t*>(pairs), task.words(K));
  kernels_->transpose(pairs, task.words(K), columns, task.words(K), panel, out_row);
}

void Products::multiply(const Task& task, const Part& part) const {
  const int64_t tiles = many_tiles(parallel_), rows = tile_rows(task.M, tiles), down = ceil_div(task.M, rows);
  const int64_t columns = kernels_->panel_columns, panels = ceil_div(part.N, columns);
  const int64_t across = std::clamp<int64_t>(ceil_div(tiles, down), 1, panels), group = ceil_div(panels, across);
  parallel_.for_each(down * ceil_div(panels, group), [&](int64_t chunk, int worker) {
    const int64_t m0 = chunk % down * rows, n = chunk / down * group * columns;
    multiply_tile(task, part,
                  {.m0 = m0, .M = std::min(rows, task.M - m0), .n = n, .N = std::min(part.N - n, group * columns)},
                  worker);
  });
}

void Products::multiply_tile(const Task& task, const Part& part, const Tile& tile, int worker) const {
  if (task.turned) return multiply_turned(task, part, tile, worker);
  float* c = task.c + tile.m0 * task.c_row + part.n0 + tile.n;
  for (int64_t k = 0; k < part.K; k += kBlockK) multiply_block(task, part, tile, k, {c, task.c_row}, worker);
  if (task.bias == nullptr || part.k0 + part.K < task.K) return;
  const int64_t n = part.n0 + tile.n;
  for (int64_t m = tile.m0; m < tile.m0 + tile.M; ++m)
    kernels_->add_scaled(task.bias + n, 1.0f, tile.N, task.c + m * task.c_row + n);
}

// A tile of C^T near the core, written to C at the end of the part. In strips of tokens: their rows of C lie far apart.
void Products::multiply_turned(const Task& task, const Part& part, const Tile& tile, int worker) const {
  constexpr int64_t kStrip = 16;
  float* near = scratch(worker) + turned_floats_;
  float* c = task.c + (part.n0 + tile.n) * task.c_row + tile.m0;
  if (task.write == Write::add || part.k0 > 0)
    for (int64_t n = 0; n < tile.N; n += kStrip)
      kernels_->transpose(c + n * task.c_row, task.c_row, std::min(kStrip, tile.N - n), tile.M, near + n, tile.N);
  for (int64_t k = 0; k < part.K; k += kBlockK) multiply_block(task, part, tile, k, {near, tile.N}, worker);
  for (int64_t n = 0; n < tile.N; n += kStrip)
    kernels_->transpose(near + n, tile.N, tile.M, std::min(kStrip, tile.N - n), c + n * task.c_row, task.c_row);
  if (task.bias == nullptr || part.k0 + part.K < task.K) return;
  for (int64_t n = 0; n < tile.N; ++n) kernels_->add_scaled(task.bias + tile.m0, 1.0f, tile.M, c + n * task.c_row);
}

// One block of K, to or onto a tile of C.
void Products::multiply_block(const Task& task, const Part& part, const Tile& tile, int64_t k, const Target& to,
                              int worker) const {
  const int64_t depth = part.depth(k), M = tile.M, panel = kernels_->panel_columns * task.words(depth);
  const float* a = task.a + tile.m0 * task.a_row + (part.k0 + k) * task.a_column;
  const float* b = packed_panel(task, part, k, tile.n);
  const bool add = task.write == Write::add || part.k0 + k > 0, in_columns = task.a_row == 1;
  float* near = near_scratch(worker);
  if (task.factors == Factors::bf16) {
    auto* pairs = reinterpret_cast<uint32_t*>(near);
    const int64_t words = task.words(depth);
    if (in_columns) bf16_->pair_rows(a, task.a_column, depth, M, pairs, M);
    else bf16_->pair_along(a, task.a_row, M, depth, pairs, words);
    return bf16_->product({.a = pairs,
                           .a_row = in_columns ? 1 : words,
                           .a_column = in_columns ? M : 1,
                           .b = reinterpret_cast<const uint32_t*>(b),
                           .b_panel = panel,
                           .c = to.c,
                           .c_row = to.row,
                           .M = M,
                           .N = tile.N,
                           .K = words,
                           .add = add});
  }
  int64_t a_column = task.a_column;
  if (in_columns) {  // columns of A lie far apart: bring them together
    for (int64_t i = 0; i < depth; ++i)
      std::memcpy(near + i * M, a + i * task.a_column, static_cast<size_t>(M) * sizeof(float));
    a = near;
    a_column = M;
  }
  kernels_->product({.a = a,
                     .a_row = task.a_row,
                     .a_column = a_column,
                     .b = b,
                     .b_row = kernels_->panel_columns,
                     .b_panel = panel,
                     .c = to.c,
                     .c_row = to.row,
                     .M = M,
                     .N = tile.N,
                     .K = depth,
                     .add = add});
}

}  // namespace kinglet::train
