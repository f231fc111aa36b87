// Paged attention over the vector V. Included inside an anonymous namespace, after math.inl and lanes.inl.
//
// Rows (query i, head j of the group: row i * group + j) are taken in blocks of at most kTileRows, pages one by one. For a
// block and a page: scores by a register tile of rows x positions (keys lie transposed, lanes are positions), softmax
// brought up to date, then values by a register tile of rows x head width. A score is one chain of fused multiply-adds
// over D, a result one chain over positions in order, and a page's weights are summed lane by lane: no cut of the rows into
// tiles or blocks changes a bit. Scores carry a factor log2(e), so that weights are powers of 2.

constexpr float kNone = -__builtin_inff();  ///< maximum of no scores
constexpr int kPageVectors = kPageTokens / kLanes;
constexpr float kLog2e = 1.44269504f;

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a < b ? b : a; }

struct Bf16 {
  uint16_t bits;
};
inline V load(const Bf16* p) { return load_bf16(&p->bits); }
inline V load_part(const Bf16* p, int64_t n) {
  uint16_t whole[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) whole[i] = p[i].bits;
  return load_bf16(whole);
}
/// To nearest even; x is finite or NaN.
inline void store_part(Bf16* p, int64_t n, V x) {
  uint32_t whole[kLanes];
  store(reinterpret_cast<float*>(whole), x);
  for (int64_t i = 0; i < n; ++i) {
    const bool nan = (whole[i] & 0x7fffffffu) > 0x7f800000u;
    const uint32_t rounded = whole[i] + 0x7fffu + ((whole[i] >> 16) & 1u);
    p[i].bits = static_cast<uint16_t>(nan ? whole[i] >> 16 | 0x40u : rounded >> 16);
  }
}

/// The part of a page that key-value head g has, as stored: T = float, uint16_t for f16, Bf16, int8_t. int8_t has scales, one for each
/// kKvBlock values of a position: (blocks, kPageTokens).
template <class T>
struct PageTiles {
  const T* keys;              ///< (D, kPageTokens)
  const T* values;            ///< (kPageTokens, D)
  const float* key_scales;    ///< int8_t only
  const float* value_scales;  ///< int8_t only
  const T* keys_after;        ///< keys of the next page, fetched while these values are read; null where they need not be

  PageTiles(const KvShape& kv, const std::byte* page, int32_t g, const std::byte* page_after)
      : keys(reinterpret_cast<const T*>(page + kv.key_offset(g))),
        values(reinterpret_cast<const T*>(page + kv.value_offset(g))),
        key_scales(reinterpret_cast<const float*>(page + kv.key_offset(g) + kv.scale_offset())),
        value_scales(reinterpret_cast<const float*>(page + kv.value_offset(g) + kv.scale_offset())),
        keys_after(reinterpret_cast<const T*>(page_after + kv.key_offset(g))) {}
};
template <class T>
constexpr bool kScaled = sizeof(T) == 1;

/// Slots [begin, end) of a page.
struct Slots {
  int begin, end;
};

/// Positions [begin, end); empty where end <= begin.
struct Range {
  int64_t begin, end;
  Slots in_page(int64_t position) const {
    return {static_cast<int>(smaller(larger(begin - position, 0), kPageTokens)),
            static_cast<int>(smaller(larger(end - position, 0), kPageTokens))};
  }
};

/// One block of rows: what its kernels read and bring up to date. Pointers are at the block's first row.
struct Block {
  const AttentionTile& tile;
  const float* queries;  ///< (D, R), scaled
  const Range* seen;     ///< (R), of each row; begins and ends never fall from one row to the next
  float* max;            ///< (R)
  float* sums;           ///< (R, kLanes): sums of weights, lane by lane
  float* acc;            ///< (R, D)
};

/// Fetches N values into the nearest cache.
template <int N, class T>
inline void prefetch_values(const T* p) {
  for (size_t line = 0; line < N * sizeof(T); line += 64) prefetch(reinterpret_cast<const std::byte*>(p) + line);
}

/// sums[r][c] += row(r) * column(c). What there is fewer of waits in registers.
template <int R, int C, class Row, class Column>
inline void add_outer_product(V (&sums)[R][C], const Row& row, const Column& column) {
  if constexpr (R < C) {
    V x[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) x[r] = set1(row(r));
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      const V y = column(c);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sums[r][c] = fma(x[r], y, sums[r][c]);
    }
  } else {
    V y[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) y[c] = column(c);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const V x = set1(row(r));
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sums[r][c] = fma(x, y[c], sums[r][c]);
    }
  }
}

/// f(r, c) for every r < R and c < C.
template <int R, int C, class F>
inline void for_tile(const F& f) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) f(r, c);
}

/// scores (R, kPageTokens) of R rows for C vectors of positions: q is (D, R), scaled; keys, their scales and scores start at the first.
/// `upcoming` (or null): what is read next, as large as the keys.
template <int R, int C, class T>
inline void score_columns(const float* q, int64_t D, const T* keys, const float* scales, const T* upcoming, float* scores) {
  const int64_t step = kScaled<T> ? kKvBlock : D;
  for (int64_t from = 0; from < D; from += step) {
    V sums[R][C];
    for_tile<R, C>([&](int r, int c) { sums[r][c] = zero(); });
    for (int64_t d = from; d < smaller(from + step, D); ++d) {
      if (upcoming != nullptr) prefetch_values<kPageTokens>(upcoming + d * kPageTokens);
      add_outer_product<R, C>(
          sums, [&](int r) { return q[d * R + r]; }, [&](int c) { return load(keys + d * kPageTokens + c * kLanes); });
    }
    for_tile<R, C>([&](int r, int c) {
      float* const to = scores + r * kPageTokens + c * kLanes;
      if constexpr (kScaled<T>) {
        const V scale = load(scales + from / kKvBlock * kPageTokens + c * kLanes);
        store(to, from == 0 ? sums[r][c] * scale : fma(sums[r][c], scale, load(to)));
      } else {
        store(to, sums[r][c]);
      }
    });
  }
}

/// The same for `vectors` of positions, in tiles of C and then of what is left.
template <int R, int C, class T>
inline void score_vectors(const float* q, int64_t D, const T* keys, const float* scales, const T* upcoming, int vectors, float* scores) {
  for (; vectors >= C; vectors -= C) {
    score_columns<R, C>(q, D, keys, scales, upcoming, scores);
    keys += C * kLanes;
    scales += C * kLanes;
    scores += C * kLanes;
    upcoming = nullptr;
  }
  if constexpr (C > 1) score_vectors<R, C / 2>(q, D, keys, scales, upcoming, vectors, scores);
}

/// acc (R rows, D apart) = acc * rescale + sum over slots of weights (R, kPageTokens) times values, for C vectors of D.
template <int R, int C, class T>
inline void weigh_columns(const float* weights, const float* rescale, Slots slots, const T* values, const T* upcoming,
                          int64_t D, float* acc) {
  V sums[R][C];
  for_tile<R, C>([&](int r, int c) { sums[r][c] = load(acc + r * D + c * kLanes) * set1(rescale[r]); });
  for (int64_t slot = slots.begin; slot < slots.end; ++slot) {
    if (upcoming != nullptr) prefetch_values<C * kLanes>(upcoming + slot * D);
    add_outer_product<R, C>(
        sums, [&](int r) { return weights[r * kPageTokens + slot]; },
        [&](int c) { return load(values + slot * D + c * kLanes); });
  }
  for_tile<R, C>([&](int r, int c) { store(acc + r * D + c * kLanes, sums[r][c]); });
}

/// The last `lanes` < kLanes of D.
template <int R, class T>
inline void weigh_part(const float* weights, const float* rescale, Slots slots, const T* values, int64_t D, int64_t lanes,
                       float* acc) {
  for (int r = 0; r < R; ++r) {
    V sum = load_part(acc + r * D, lanes) * set1(rescale[r]);
    for (int64_t slot = slots.begin; slot < slots.end; ++slot)
      sum = fma(set1(weights[r * kPageTokens + slot]), load_part(values + slot * D, lanes), sum);
    store_part(acc + r * D, lanes, sum);
  }
}

/// The same for columns [d, end), in tiles of C vectors and then of what is left.
template <int R, int C, class T>
inline void weigh_vectors(const float* weights, const float* rescale, Slots slots, const T* values, const T* upcoming,
                          int64_t d, int64_t end, int64_t D, float* acc) {
  for (; d + C * kLanes <= end; d += C * kLanes)
    weigh_columns<R, C>(weights, rescale, slots, values + d, upcoming != nullptr ? upcoming + d : nullptr, D,
                        acc + d);
  if constexpr (C > 1) {
    weigh_vectors<R, C / 2>(weights, rescale, slots, values, upcoming, d, end, D, acc);
  } else if (d < end) {
    weigh_part<R>(weights, rescale, slots, values + d, D, end - d, acc + d);
  }
}

/// The same for all of D where values have scales: those of a block are multiplied into the weights first.
template <int R, class T>
inline void weigh_blocks(const float* weights, const float* rescale, Slots slots, const PageTiles<T>& page, int64_t D, float* acc) {
  constexpr int C = smaller(tile_columns(R), kKvBlock / kLanes);
  alignas(64) float scaled[R * kPageTokens];
  const int64_t begin = slots.begin / kLanes * kLanes;
  for (int64_t d = 0; d < D; d += kKvBlock) {
    const float* const scales = page.value_scales + d / kKvBlock * kPageTokens;
    for (int64_t i = begin; i < slots.end; i += kLanes) {
      const V scale = load(scales + i);
      for (int r = 0; r < R; ++r) store(scaled + r * kPageTokens + i, load(weights + r * kPageTokens + i) * scale);
    }
    weigh_vectors<R, C>(scaled, rescale, slots, page.values, page.keys_after, d, smaller(d + kKvBlock, D), D, acc);
  }
}

/// Brings one row's softmax up to date with its scores of a page, which become weights; answers what the sums that were
/// there before are to be multiplied by. Vectors [first, last) of the page; slots that the row does not see get weight 0.
template <bool kWhole>
inline float update_softmax(float cap, Slots seen, int first, int last, float* scores,
                            float& row_max, float* row_sums) {
  V s[kPageVectors];
  V tops = set1(kNone);
  for (int i = first; i < last; ++i) {
    s[i] = load(scores + i * kLanes);
    if (cap > 0) s[i] = set1(cap * kLog2e) * tanh(s[i] / set1(cap * kLog2e));
    if (!kWhole) s[i] = keep_lanes(s[i], seen.begin - i * kLanes, seen.end - i * kLanes, set1(kNone));
    tops = max(tops, s[i]);
  }
  float rescale = 1.0f;
  V sums = load(row_sums);
  if (any_greater(tops, set1(row_max))) {
    const V old = set1(row_max);
    row_max = reduce_max(tops);
    const V factor = exp2_weight(old - set1(row_max));
    sums = sums * factor;
    rescale = first_lane(factor);
  }
  const V top = set1(row_max == kNone ? 0.0f : row_max);
  for (int i = first; i < last; ++i) {
    const V weight = exp2_weight(s[i] - top);
    store(scores + i * kLanes, weight);
    sums += weight;
  }
  store(row_sums, sums);
  return rescale;
}

/// Adds one page to a block of R rows.
template <int R, class T>
inline void add_page(const Block& block, int64_t page_position, const PageTiles<T>& page) {
  const int64_t D = block.tile.kv.D;
  const Range some{block.seen[0].begin, block.seen[R - 1].end}, every{block.seen[R - 1].begin, block.seen[0].end};
  const Slots slots = some.in_page(page_position);
  if (slots.begin >= slots.end) return;

  alignas(64) float scores[R * kPageTokens];
  const int first = slots.begin / kLanes, last = (slots.end + kLanes - 1) / kLanes;
  score_vectors<R, tile_columns(R)>(block.queries, D, page.keys + first * kLanes, page.key_scales + first * kLanes,
                                    page.keys_after != nullptr ? page.values : nullptr, last - first,
                                    scores + first * kLanes);
  float rescale[R];
  const float cap = block.tile.softcap;
  if (every.begin <= page_position && every.end >= page_position + kPageTokens) {
    for (int r = 0; r < R; ++r)
      rescale[r] = update_softmax<true>(cap, slots, 0, kPageVectors, scores + r * kPageTokens, block.max[r],
                                        block.sums + r * kLanes);
  } else {
    for (int r = 0; r < R; ++r)
      rescale[r] = update_softmax<false>(cap, block.seen[r].in_page(page_position), first, last,
                                         scores + r * kPageTokens, block.max[r], block.sums + r * kLanes);
  }
  if constexpr (kScaled<T>) {
    weigh_blocks<R>(scores, rescale, slots, page, D, block.acc);
  } else {
    weigh_vectors<R, tile_columns(R)>(scores, rescale, slots, page.values, page.keys_after, 0, D, D, block.acc);
  }
}

/// Cuts `rows` into blocks of nearly equal size; the sizes are kTileRows at most.
struct Blocks {
  int64_t rows, size;
  explicit Blocks(int64_t n) : rows(n), size((n + count(n) - 1) / count(n)) {}
  static int64_t count(int64_t n) { return (n + kTileRows - 1) / kTileRows; }
  int64_t rows_at(int64_t row) const { return smaller(size, rows - row); }
};

/// add_page for R rows, R known at run time.
template <class T, int R = kTileRows>
inline void add_page_to(int64_t R_now, const Block& block, int64_t page_position, const PageTiles<T>& page) {
  if (R_now == R) return add_page<R>(block, page_position, page);
  if constexpr (R > 1) add_page_to<T, R - 1>(R_now, block, page_position, page);
}

/// What a call keeps in its scratch, for all rows.
struct Scratch {
  Range* seen;      ///< (rows)
  float* sums;      ///< (rows, kLanes)
  float* queries;  ///< block by block (D, rows of the block)

  static constexpr int64_t padded(int64_t values) { return (values + 15) / 16 * 16; }
  static size_t bytes(int64_t rows, int64_t D) {
    const int64_t floats = padded(rows * kLanes) + padded(rows * D);
    return static_cast<size_t>(floats) * sizeof(float) + static_cast<size_t>(padded(rows)) * sizeof(Range);
  }
  Scratch(std::byte* memory, int64_t rows)
      : seen(reinterpret_cast<Range*>(memory)),
        sums(reinterpret_cast<float*>(seen + padded(rows))),
        queries(sums + padded(rows * kLanes)) {}
};

template <class T>
inline void add_page_to_all(const AttentionTile& tile, const Blocks& blocks, int64_t page_position, PageTiles<T> page,
                            const Scratch& scratch, const AttentionState& state) {
  const int64_t D = tile.kv.D;
  for (int64_t row = 0; row < blocks.rows; row += blocks.size) {
    const Block block{tile,
                      scratch.queries + row * D,
                      scratch.seen + row,
                      state.max + row,
                      scratch.sums + row * kLanes,
                      state.acc + row * D};
    add_page_to<T>(blocks.rows_at(row), block, page_position, page);
    page.keys_after = nullptr;  // the first block has fetched it
  }
}

/// The positions of [begin, end) that a query sees.
inline Range visible(const AttentionTile& tile, int64_t query, int64_t begin, int64_t end) {
  const int64_t position = tile.position + query;
  return {tile.window > 0 ? larger(begin, position - tile.window + 1) : begin,
          smaller(end, tile.causal ? position + 1 : tile.length)};
}

/// Fills the scratch: what each row sees, queries times scale and log2(e), sums as they are.
inline void prepare(const AttentionTile& tile, const Blocks& blocks, int64_t begin, int64_t end, const float* row_sum,
                    const Scratch& scratch) {
  const int64_t D = tile.kv.D;
  const float factor = tile.scale * kLog2e;
  int64_t query = 0, head = 0;
  for (int64_t first = 0; first < blocks.rows; first += blocks.size) {
    const int64_t R = blocks.rows_at(first);
    float* const packed = scratch.queries + first * D;
    for (int64_t r = 0; r < R; ++r) {
      scratch.seen[first + r] = visible(tile, query, begin, end);
      store(scratch.sums + (first + r) * kLanes, keep_lanes(set1(row_sum[first + r]), 0, 1, zero()));
      const float* q = tile.q + query * tile.q_stride + head * D;
      for (int64_t d = 0; d < D; ++d) packed[d * R + r] = q[d] * factor;
      if (++head == tile.group) {
        head = 0;
        ++query;
      }
    }
  }
}

template <class T>
void add_pages(const AttentionTile& tile, int64_t begin, int64_t end, AttentionState state, std::byte* memory) {
  const Blocks blocks(int64_t{tile.queries} * tile.group);
  const Scratch scratch(memory, blocks.rows);
  prepare(tile, blocks, begin, end, state.sum, scratch);
  // What no row sees is not touched: before the window of the first query, after the last one's own position.
  const Range range{scratch.seen[0].begin, scratch.seen[blocks.rows - 1].end};
  for (int64_t at = range.begin / kPageTokens * kPageTokens; at < range.end; at += kPageTokens) {
    const std::byte* const* const page = tile.pages + at / kPageTokens;
    const PageTiles<T> tiles(tile.kv, page[0], tile.g, page[at + kPageTokens < range.end ? 1 : 0]);
    add_page_to_all(tile, blocks, at, tiles, scratch, state);
  }
  for (int64_t r = 0; r < blocks.rows; ++r) state.sum[r] = reduce_add(load(scratch.sums + r * kLanes));
}

void attention_split(const AttentionTile& tile, int64_t begin, int64_t end, AttentionState state, std::byte* scratch) {
  switch (tile.kv.type) {
    case DType::f16: return add_pages<uint16_t>(tile, begin, end, state, scratch);
    case DType::bf16: return add_pages<Bf16>(tile, begin, end, state, scratch);
    case DType::i8: return add_pages<int8_t>(tile, begin, end, state, scratch);
    default: return add_pages<float>(tile, begin, end, state, scratch);
  }
}

size_t attention_scratch_bytes(int32_t rows, int32_t D) { return Scratch::bytes(rows, D); }

void attention_merge(AttentionState into, AttentionState from, int64_t rows, int64_t D) {
  for (int64_t r = 0; r < rows; ++r) {
    if (from.max[r] == kNone) continue;  // this split showed the row nothing
    const float top = into.max[r] > from.max[r] ? into.max[r] : from.max[r];
    const V into_factor = exp2_weight(set1(into.max[r] - top)), from_factor = exp2_weight(set1(from.max[r] - top));
    into.max[r] = top;
    into.sum[r] = into.sum[r] * first_lane(into_factor) + from.sum[r] * first_lane(from_factor);
    float* const to = into.acc + r * D;
    for_vectors(D, [&](int64_t i, int64_t n) {
      const V old = load_lanes(to + i, n) * into_factor;
      store_lanes(to + i, n, fma(load_lanes(from.acc + r * D + i, n), from_factor, old));
    });
  }
}

void attention_finish(AttentionState state, int64_t queries, int64_t group, int64_t D, float* out, int64_t out_stride) {
  for (int64_t r = 0; r < queries * group; ++r) {
    // A row that saw nothing answers zeros.
    const V factor = set1(state.sum[r] > 0 ? 1.0f / state.sum[r] : 0.0f);
    float* const to = out + r / group * out_stride + r % group * D;
    for_vectors(D, [&](int64_t i, int64_t n) { store_lanes(to + i, n, load_lanes(state.acc + r * D + i, n) * factor); });
  }
}

/// What turns n values of one position into T: nothing, the limits of f16 and bf16, or the scale of i8, which it stores.
inline V within(V x, float limit) { return min(set1(limit), max(set1(-limit), x)); }
template <class T>
struct Narrow {
  Narrow(const float*, int64_t, float*) {}
  V operator()(V x) const { return x; }
};
template <>
struct Narrow<uint16_t> {
  Narrow(const float*, int64_t, float*) {}
  V operator()(V x) const { return within(x, 65504.0f); }
};
template <>
struct Narrow<Bf16> {
  Narrow(const float*, int64_t, float*) {}
  V operator()(V x) const { return within(x, 0x1.fep127f); }
};
template <>
struct Narrow<int8_t> {
  V scale;
  Narrow(const float* x, int64_t n, float* stored) {
    V most = zero();
    for_vectors(n, [&](int64_t d, int64_t m) { most = max(most, abs(load_lanes(x + d, m))); });
    const float largest = reduce_max(min(most, set1(3.40282347e38f)));
    *stored = largest / 127.0f;
    scale = set1(*stored > 0 ? *stored : 1.0f);
  }
  V operator()(V x) const { return round_nearest(within(x / scale, 127.0f)); }
};

/// Keys are scattered, since lanes of a key tile are positions; values lie together.
template <class T>
inline void store_head(const KvShape& kv, const float* k, const float* v, std::byte* key_tile, std::byte* value_tile,
                       int32_t slot) {
  T* const keys = reinterpret_cast<T*>(key_tile) + slot;
  T* const values = reinterpret_cast<T*>(value_tile) + int64_t{slot} * kv.D;
  float* key_scale = reinterpret_cast<float*>(key_tile + kv.scale_offset()) + slot;
  float* value_scale = reinterpret_cast<float*>(value_tile + kv.scale_offset()) + slot;
  for (int64_t block = 0; block < kv.D; block += kKvBlock, key_scale += kPageTokens, value_scale += kPageTokens) {
    const int64_t count = smaller(kKvBlock, kv.D - block);
    const Narrow<T> narrow_key(k + block, count, key_scale), narrow_value(v + block, count, value_scale);
    for_vectors(count, [&](int64_t i, int64_t n) {
      const int64_t d = block + i;
      alignas(64) T key[kLanes];
      store_part(key, n, narrow_key(load_lanes(k + d, n)));
      for (int64_t j = 0; j < n; ++j) keys[(d + j) * kPageTokens] = key[j];
      store_part(values + d, n, narrow_value(load_lanes(v + d, n)));
    });
  }
}

void kv_store(const KvShape& kv, const float* k, const float* v, std::byte* page, int32_t slot) {
  const auto store_typed = kv.type == DType::f16    ? store_head<uint16_t>
                           : kv.type == DType::bf16 ? store_head<Bf16>
                           : kv.type == DType::i8   ? store_head<int8_t>
                                                    : store_head<float>;
  for (int32_t g = 0; g < kv.G; ++g)
    store_typed(kv, k + int64_t{g} * kv.D, v + int64_t{g} * kv.D, page + kv.key_offset(g), page + kv.value_offset(g), slot);
}

void fill_attention(KernelTable& table) {
  table.kv_store = kv_store;
  table.attention_split = attention_split;
  table.attention_scratch_bytes = attention_scratch_bytes;
  table.attention_merge = attention_merge;
  table.attention_finish = attention_finish;
}
