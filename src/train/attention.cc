#include "train/attention.h"

#include <algorithm>
#include <cmath>

namespace kinglet::train {
namespace {

constexpr int64_t kTileQueries = 48;
constexpr int64_t kRowChunk = 64;

int64_t longest(std::span<const int32_t> starts) {
  int64_t most = 0;
  for (size_t b = 0; b + 1 < starts.size(); ++b) most = std::max<int64_t>(most, starts[b + 1] - starts[b]);
  return most;
}

int64_t packed_floats(const GradientKernels& kernels, const Attr& attr, std::span<const int32_t> starts) {
  int64_t rows = 0;
  for (size_t b = 0; b + 1 < starts.size(); ++b)
    rows += round_up<int64_t>(starts[b + 1] - starts[b], kernels.panel_columns);
  return rows * attr.kv_heads * attr.head_width;
}

int64_t tile_floats(const GradientKernels& kernels, std::span<const int32_t> starts) {
  return kTileQueries * round_up(longest(starts), kernels.panel_columns);
}

}  // namespace

/// A sequence, a query head, and for the forward a tile of queries.
struct AttentionWalk::Item {
  int64_t b, h, g, first, length;
  int64_t q0 = 0, q1 = 0;
};

/// The keys that a tile of queries sees, from a whole panel on.
struct AttentionWalk::Keys {
  int64_t begin, end;
  int64_t width() const { return end - begin; }
};

AttentionWalk::Keys AttentionWalk::keys_of(int64_t q0, int64_t q1, int64_t length) const {
  const int64_t begin = attr_.window > 0 ? std::max<int64_t>(0, q0 - attr_.window + 1) : 0;
  return {begin / kernels_.panel_columns * kernels_.panel_columns, attr_.causal ? q1 : length};
}

ScoreRow AttentionWalk::row_of(int64_t query, const Keys& keys, int64_t length) const {
  const int64_t begin = attr_.window > 0 ? std::max<int64_t>(0, query - attr_.window + 1) : 0;
  return {keys.width(), begin - keys.begin, (attr_.causal ? query + 1 : length) - keys.begin, attr_.scale,
          attr_.softcap};
}

int64_t AttentionWalk::scratch_floats(const GradientKernels& kernels, const Attr& attr, std::span<const int32_t> starts,
                                      int workers) {
  const int64_t per_head = int64_t{starts.back()} * attr.heads * attr.head_width;  // dk and dv of each query head
  return 2 * packed_floats(kernels, attr, starts) + 2 * per_head + 3 * workers * tile_floats(kernels, starts);
}

float* AttentionWalk::packed_at(float* packed, int64_t b, int64_t g) const {
  const int64_t columns = kernels_.panel_columns;
  int64_t rows = 0;
  for (int64_t i = 0; i < b; ++i) rows += round_up(length(i), columns) * attr_.kv_heads;
  return packed + (rows + g * round_up(length(b), columns)) * attr_.head_width;
}

// Keys or values (T, G D) as panels whose columns are positions.
void AttentionWalk::pack(Matrix x, float* packed) const {
  const int64_t G = attr_.kv_heads, D = attr_.head_width, columns = kernels_.panel_columns;
  parallel_.for_each(sequences() * G, [&](int64_t chunk, int) {
    const int64_t b = chunk / G, g = chunk % G, first = starts_[static_cast<size_t>(b)];
    float* to = packed_at(packed, b, g);
    for (int64_t p = 0; p < length(b); p += columns)
      kernels_.transpose(x.row(first + p) + g * D, x.stride, std::min(columns, length(b) - p), D, to + p * D, columns);
  });
}

void AttentionWalk::forward(Matrix q, Matrix k, Matrix v, Matrix out, Matrix log_sums, float* scratch) const {
  float* packed = scratch;
  float* tiles = scratch + 2 * packed_floats(kernels_, attr_, starts_);
  const int64_t tile = tile_floats(kernels_, starts_), H = attr_.heads;
  pack(k, packed);
  int64_t total = 0;
  for (int64_t b = 0; b < sequences(); ++b) total += ceil_div(length(b), kTileQueries) * H;
  parallel_.for_each(total, [&](int64_t chunk, int worker) {
    int64_t left = chunk, b = 0;
    for (int64_t here = 0; left >= (here = ceil_div(length(b), kTileQueries) * H); ++b) left -= here;
    // Later tiles see more keys: they are claimed first, so that the last claims are short.
    const int64_t tiles_here = ceil_div(length(b), kTileQueries), i = tiles_here - 1 - left / H, h = left % H;
    const Item item{.b = b,
                    .h = h,
                    .g = h / (H / attr_.kv_heads),
                    .first = starts_[static_cast<size_t>(b)],
                    .length = length(b),
                    .q0 = i * kTileQueries,
                    .q1 = std::min((i + 1) * kTileQueries, length(b))};
    forward_tile(item, q, v, out, log_sums, packed_at(packed, b, item.g), tiles + worker * tile);
  });
}

void AttentionWalk::forward_tile(const Item& item, Matrix q, Matrix v, Matrix out, Matrix log_sums, const float* keys,
                                 float* scores) const {
  const int64_t D = attr_.head_width, columns = kernels_.panel_columns, n = item.q1 - item.q0;
  const Keys seen = keys_of(item.q0, item.q1, item.length);
  const int64_t row = round_up(seen.width(), columns);
  kernels_.product({.a = q.row(item.first + item.q0) + item.h * D,
                    .a_row = q.stride,
                    .a_column = 1,
                    .b = keys + seen.begin * D,
                    .b_row = columns,
                    .b_panel = columns * D,
                    .c = scores,
                    .c_row = row,
                    .M = n,
                    .N = seen.width(),
                    .K = D,
                    .add = false});
  float sums[kTileQueries];
  for (int64_t i = 0; i < n; ++i) {
    float most = 0;
    kernels_.attention_weights(row_of(item.q0 + i, seen, item.length), scores + i * row, &most, &sums[i]);
    log_sums.row(item.first + item.q0 + i)[item.h] = most + std::log(sums[i]);
  }
  float* to = out.row(item.first + item.q0) + item.h * D;
  kernels_.product({.a = scores,
                    .a_row = row,
                    .a_column = 1,
                    .b = v.row(item.first + seen.begin) + item.g * D,
                    .b_row = v.stride,
                    .b_panel = columns,
                    .c = to,
                    .c_row = out.stride,
                    .M = n,
                    .N = D,
                    .K = seen.width(),
                    .add = false});
  for (int64_t i = 0; i < n; ++i)
    for (int64_t d = 0; d < D; ++d) to[i * out.stride + d] /= sums[i];
}

void AttentionWalk::backward(const Backward& walk, float* scratch) const {
  const int64_t packed = packed_floats(kernels_, attr_, starts_), H = attr_.heads, D = attr_.head_width;
  const int64_t T = starts_.back(), tile = tile_floats(kernels_, starts_);
  float* keys = scratch;
  float* values = scratch + packed;
  const Matrix dk{scratch + 2 * packed, H * D, T, H * D}, dv{dk.data + T * H * D, H * D, T, H * D};
  float* tiles = dv.data + T * H * D;
  pack(walk.k, keys);
  pack(walk.v, values);
  parallel_.for_each(sequences() * H, [&](int64_t chunk, int worker) {
    const int64_t b = chunk / H, h = chunk % H, g = h / (H / attr_.kv_heads);
    const Item item{.b = b, .h = h, .g = g, .first = starts_[static_cast<size_t>(b)], .length = length(b)};
    backward_head(item, walk, packed_at(keys, b, g), packed_at(values, b, g), dk, dv, tiles + 3 * worker * tile);
  });
  if (walk.dk.data != nullptr) add_heads(dk, walk.dk, walk.write_k);
  if (walk.dv.data != nullptr) add_heads(dv, walk.dv, walk.write_v);
}

// One query head of one sequence: its dq, and its part of dk and dv.
void AttentionWalk::backward_head(const Item& item, const Backward& walk, const float* keys, const float* values,
                                  Matrix dk, Matrix dv, float* tiles) const {
  const int64_t D = attr_.head_width, columns = kernels_.panel_columns, tile = tile_floats(kernels_, starts_);
  float* const scores = tiles;
  float* const probabilities = attr_.softcap > 0 ? tiles + tile : scores;
  float* const dscores = tiles + 2 * tile;
  const auto head = [&](Matrix x, int64_t row, int64_t h) { return x.row(item.first + row) + h * D; };
  for (int64_t t = 0; t < item.length; ++t) {
    std::fill_n(head(dk, t, item.h), D, 0.0f);
    std::fill_n(head(dv, t, item.h), D, 0.0f);
  }
  for (int64_t q0 = 0; q0 < item.length; q0 += kTileQueries) {
    const int64_t q1 = std::min(q0 + kTileQueries, item.length), n = q1 - q0;
    const Keys seen = keys_of(q0, q1, item.length);
    const int64_t width = seen.width(), row = round_up(width, columns);
    // (n, width) (=) queries or dout times packed keys or values.
    const auto by_position = [&](Matrix x, const float* panels, float* out) {
      kernels_.product({head(x, q0, item.h), x.stride, 1, panels + seen.begin * D, columns, columns * D, out, row, n,
                        width, D, false});
    };
    by_position(walk.q, keys, scores);
    by_position(walk.dout, values, dscores);
    for (int64_t i = 0; i < n; ++i) {
      const ScoreRow at = row_of(q0 + i, seen, item.length);
      const float delta = kernels_.dot(head(walk.dout, q0 + i, item.h), head(walk.out, q0 + i, item.h), D);
      const float shift = walk.log_sums.row(item.first + q0 + i)[item.h];
      kernels_.attention_probabilities(at, shift, scores + i * row, probabilities + i * row);
      kernels_.attention_scores(at, delta, probabilities + i * row, scores + i * row, dscores + i * row);
    }
    // dkeys or dvalues (width, D) += weights^T (width, n) x (n, D).
    const auto to_positions = [&](const float* weights, Matrix x, Matrix out) {
      kernels_.product({weights, 1, row, head(x, q0, item.h), x.stride, columns, head(out, seen.begin, item.h),
                        out.stride, width, D, n, true});
    };
    to_positions(probabilities, walk.dout, dv);
    to_positions(dscores, walk.q, dk);
    if (walk.dq.data != nullptr)
      kernels_.product({dscores, row, 1, head(walk.k, seen.begin, item.g), walk.k.stride, columns,
                        head(walk.dq, q0, item.h), walk.dq.stride, n, D, width, walk.write_q == Write::add});
  }
}

// out (T, G D) (=|+=) the sum of each group's heads (T, H D), in order.
void AttentionWalk::add_heads(const Matrix& heads, Matrix out, Write write) const {
  const int64_t D = attr_.head_width, group = attr_.heads / attr_.kv_heads;
  parallel_.for_each(ceil_div(heads.rows, kRowChunk), [&](int64_t chunk, int) {
    for (int64_t t = chunk * kRowChunk; t < std::min(heads.rows, (chunk + 1) * kRowChunk); ++t) {
      if (write == Write::store) std::fill_n(out.row(t), out.columns, 0.0f);
      for (int64_t h = 0; h < attr_.heads; ++h)
        kernels_.add_scaled(heads.row(t) + h * D, 1.0f, D, out.row(t) + h / group * D);
    }
  });
}

}  // namespace kinglet::train
