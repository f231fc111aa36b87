// Rope, the key-value store, and attention over pages in splits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "exec/walker.h"

namespace kinglet {
namespace {

KvShape kv_shape(const Walker& w) {
  return {w.plan.options.kv_type, w.plan.program.kv_heads, w.plan.program.head_width};
}

const BatchSequence& sequence_of(const Walker& w, int64_t row) {
  // Sequences cover the rows in order.
  const auto after = std::upper_bound(w.batch.sequences.begin(), w.batch.sequences.end(), row,
                                      [](int64_t r, const BatchSequence& s) { return r < s.first_row; });
  return *(after - 1);
}

struct Span {
  int64_t begin, end;
};

// Positions that the tile's queries attend to, all together.
Span attended(const AttentionTile& tile) {
  const int64_t end = tile.causal ? tile.position + tile.queries : tile.length;
  const int64_t begin = tile.window > 0 ? std::max<int64_t>(0, tile.position - tile.window + 1) : 0;
  return {begin, end};
}

AttentionState carve(float* memory, int64_t rows) {
  return {memory, memory + rows, memory + round_up<int64_t>(2 * rows, 16)};
}

void clear(AttentionState state, int64_t rows, int64_t D) {
  std::fill(state.max, state.max + rows, -std::numeric_limits<float>::infinity());
  std::fill(state.sum, state.sum + rows, 0.0f);
  std::fill(state.acc, state.acc + rows * D, 0.0f);
}

void run_split(const KernelTable& k, const AttentionTile& tile, Span span, int64_t split, AttentionState state,
               std::byte* scratch) {
  const int64_t rows = int64_t{tile.queries} * tile.group;
  clear(state, rows, tile.kv.D);
  k.attention_split(tile, std::max(span.begin, split * kSplitTokens), std::min(span.end, (split + 1) * kSplitTokens),
                    state, scratch);
}

struct AttentionRun {
  const Walker& w;
  const Step& step;
  KvShape kv;
  int64_t group, tile_queries;
  bool selected;  ///< as in Launch

  int64_t tiles(const BatchSequence& s) const { return ceil_div<int64_t>(s.tokens, tile_queries); }

  AttentionTile tile_of(const BatchSequence& s, int64_t tile, int32_t g) const {
    const Attr& a = step.attr;
    const int64_t first = tile * tile_queries;
    const int64_t row = s.first_row + first;
    return {.kv = kv,
            .pages = s.pages[a.kv_layer],
            .q = w.row(step.in[0], row) + g * group * a.head_width,
            .q_stride = w.stride(step.in[0]),
            .queries = static_cast<int32_t>(std::min<int64_t>(tile_queries, s.tokens - first)),
            .group = static_cast<int32_t>(group),
            .g = g,
            .position = s.position + first,
            .window = a.window,
            .length = s.position + s.tokens,
            .causal = a.causal,
            .scale = a.scale,
            .softcap = a.softcap};
  }

  void finish(const AttentionTile& tile, const BatchSequence& s, AttentionState state) const {
    const int64_t row = s.first_row + (tile.position - s.position);
    w.kernels().attention_finish(state, tile.queries, group, kv.D, w.row(step.out, row) + tile.g * group * kv.D,
                                 w.stride(step.out));
  }

  // Whether anybody reads what the tile's queries find.
  bool is_read(const BatchSequence& s, int64_t tile) const {
    if (!selected) return true;
    const int64_t first = s.first_row + tile * tile_queries;
    const int64_t end = std::min<int64_t>(first + tile_queries, s.first_row + s.tokens);
    return w.outputs_before(first) < w.outputs_before(end);
  }

  // All splits of one tile in turn.
  void whole(const BatchSequence& s, int64_t tile_index, int32_t g, int worker) const {
    const AttentionTile tile = tile_of(s, tile_index, g);
    const int64_t rows = int64_t{tile.queries} * group;
    auto* memory = reinterpret_cast<float*>(w.scratch(worker));
    const AttentionState total = carve(memory, rows);
    const AttentionState part = carve(memory + attention_state_floats(rows, kv.D), rows);
    auto* rest = reinterpret_cast<std::byte*>(memory + 2 * attention_state_floats(rows, kv.D));
    const Span span = attended(tile);
    const int64_t first = span.begin / kSplitTokens, last = (span.end - 1) / kSplitTokens;
    run_split(w.kernels(), tile, span, first, total, rest);
    for (int64_t split = first + 1; split <= last; ++split) {
      run_split(w.kernels(), tile, span, split, part, rest);
      w.kernels().attention_merge(total, part, rows, kv.D);
    }
    finish(tile, s, total);
  }
};

// One query a sequence and few heads: splits are the work items, and their states are merged in order afterwards.
bool split_in_parallel(const AttentionRun& run) {
  const auto& batch = run.w.batch;
  const int64_t items = static_cast<int64_t>(batch.sequences.size()) * run.kv.G;
  if (run.w.parallel.workers == 1 || items > 2 * int64_t{run.w.parallel.workers}) return false;
  for (const BatchSequence& s : batch.sequences)
    if (s.tokens != 1) return false;
  return true;
}

void run_in_splits(const AttentionRun& run) {
  const Walker& w = run.w;
  const int64_t rows = run.group, D = run.kv.D, splits = ceil_div<int64_t>(w.plan.options.max_context, kSplitTokens);
  auto* partials = reinterpret_cast<float*>(w.workspace + w.plan.partials_offset);
  const auto items = static_cast<int64_t>(w.batch.sequences.size()) * run.kv.G;
  const auto state_at = [&](int64_t item, int64_t split) {
    return carve(partials + static_cast<size_t>(item * splits + split) * attention_state_floats(rows, D), rows);
  };
  const auto tile_at = [&](int64_t item) {
    return run.tile_of(w.batch.sequences[static_cast<size_t>(item / run.kv.G)], 0,
                       static_cast<int32_t>(item % run.kv.G));
  };
  int64_t most = 0;
  for (int64_t item = 0; item < items; ++item)
    most = std::max(most, ceil_div<int64_t>(attended(tile_at(item)).end, kSplitTokens));
  w.parallel.for_each(items * most, [&](int64_t chunk, int worker) {
    const int64_t item = chunk / most, split = chunk % most;
    const AttentionTile tile = tile_at(item);
    const Span span = attended(tile);
    if (split < span.begin / kSplitTokens || split > (span.end - 1) / kSplitTokens) return;
    run_split(w.kernels(), tile, span, split, state_at(item, split), w.scratch(worker));
  });
  for (int64_t item = 0; item < items; ++item) {
    const AttentionTile tile = tile_at(item);
    const Span span = attended(tile);
    const int64_t first = span.begin / kSplitTokens, last = (span.end - 1) / kSplitTokens;
    for (int64_t split = first + 1; split <= last; ++split)
      w.kernels().attention_merge(state_at(item, first), state_at(item, split), rows, D);
    run.finish(tile, w.batch.sequences[static_cast<size_t>(item / run.kv.G)], state_at(item, first));
  }
}

void run_in_tiles(const AttentionRun& run) {
  int64_t total = 0;
  for (const BatchSequence& s : run.w.batch.sequences) total += run.tiles(s) * run.kv.G;
  run.w.parallel.for_each(total, [&](int64_t chunk, int worker) {
    // Later tiles attend to more positions: they are claimed first, so that the last claims are short.
    int64_t item = total - 1 - chunk;
    for (const BatchSequence& s : run.w.batch.sequences) {
      const int64_t here = run.tiles(s) * run.kv.G;
      if (item < here) {
        const int64_t tile = item / run.kv.G;
        if (run.is_read(s, tile)) run.whole(s, tile, static_cast<int32_t>(item % run.kv.G), worker);
        return;
      }
      item -= here;
    }
  });
}

}  // namespace

float* Walker::rope_row(int32_t table, int64_t i) const {
  size_t floats = 0;
  for (int32_t t = 0; t < table; ++t)
    floats += 2 * plan.program.ropes[static_cast<size_t>(t)].freq.size() * static_cast<size_t>(plan.options.max_tokens);
  const size_t rotary = 2 * plan.program.ropes[static_cast<size_t>(table)].freq.size();
  return reinterpret_cast<float*>(workspace + plan.rope_offset) + floats + static_cast<size_t>(i) * rotary;
}

void fill_rope_rows(const Walker& w) {
  for (size_t t = 0; t < w.plan.program.ropes.size(); ++t) {
    const RopeTable& table = w.plan.program.ropes[t];
    w.for_rows(static_cast<int64_t>(w.batch.tokens.size()), [&](int64_t i) {
      const BatchSequence& s = sequence_of(w, i);
      const auto freq = s.long_rope && !table.long_freq.empty() ? table.long_freq : table.freq;
      const auto position = static_cast<float>(s.position + i - s.first_row);
      float* cos = w.rope_row(static_cast<int32_t>(t), i);
      float* sin = cos + freq.size();
      for (size_t j = 0; j < freq.size(); ++j) {
        const float angle = position * freq[j];
        cos[j] = std::cos(angle) * table.magnitude;
        sin[j] = std::sin(angle) * table.magnitude;
      }
    });
  }
}

namespace {
// One row of a rope step, in place where the plan aliased it.
void rope_row_of(const Walker& w, const Step& s, int64_t i) {
  float* x = w.row(s.out, i);
  const float* in = w.row(s.in[0], i);
  if (in != x) std::copy(in, in + w.width(s.out), x);
  const float* cos = w.rope_row(s.attr.rope, i);
  const float* sin = cos + s.attr.rotary / 2;
  const auto turn = s.attr.interleaved ? w.kernels().rope_interleaved : w.kernels().rope_half;
  turn(x, s.attr.heads, s.attr.head_width, s.attr.rotary, cos, sin);
}

void store_row(const Walker& w, const BatchSequence& s, int64_t i, int32_t kv_layer, const float* k, const float* v) {
  const int64_t position = s.position + i - s.first_row;
  w.kernels().kv_store(kv_shape(w), k, v, s.pages[kv_layer][position / kPageTokens],
                       static_cast<int32_t>(position % kPageTokens));
}
}  // namespace

void run_rope(const Walker& w, const Step& s) {
  w.for_rows(w.rows(s.out), [&](int64_t i) { rope_row_of(w, s, i); });
}

void run_rope_store(const Walker& w, const Launch& launch) {
  // The attention follows as the next canonical step.
  const Step& attention = w.plan.program.steps[static_cast<size_t>(launch.steps[launch.count - 1]) + 1];
  w.for_rows(w.rows(attention.out), [&](int64_t i) {
    for (int j = 0; j < launch.count; ++j) {
      const Step& s = w.step(launch, j);
      if (s.op == Op::rms_norm) norm_row(w, s, i);
      else rope_row_of(w, s, i);
    }
    store_row(w, sequence_of(w, i), i, attention.attr.kv_layer, w.row(attention.in[1], i), w.row(attention.in[2], i));
  });
}

void run_attention(const Walker& w, const Launch& launch) {
  const Step& s = w.step(launch, 0);
  if (!launch.stored)
    w.for_rows(w.rows(s.out), [&](int64_t i) {
      store_row(w, sequence_of(w, i), i, s.attr.kv_layer, w.row(s.in[1], i), w.row(s.in[2], i));
    });
  const int64_t group = s.attr.heads / s.attr.kv_heads;
  const AttentionRun run{w, s, kv_shape(w), group, std::max<int64_t>(1, kAttentionTileRows / group), launch.selected};
  if (split_in_parallel(run)) run_in_splits(run);
  else run_in_tiles(run);
}

}  // namespace kinglet
