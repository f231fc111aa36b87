// Paged attention, slow and readable: one query head at a time, softmax kept up page by page.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "kernels/rows.h"

namespace kinglet {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();  ///< maximum of no scores

/// Where the scale of value d of position `slot` lies in an i8 tile.
size_t scale_at(const KvShape& kv, int64_t d, int64_t slot) {
  return kv.scale_offset() + static_cast<size_t>(d / kKvBlock * kPageTokens + slot) * sizeof(float);
}

/// The value at index i of a tile, which is value d of position `slot` of the page.
float load(const KvShape& kv, const std::byte* tile, int64_t i, int64_t d, int64_t slot) {
  const std::byte* const at = tile + static_cast<size_t>(i) * kv.value_bytes();
  if (kv.type == DType::f16 || kv.type == DType::bf16) {
    uint16_t h;
    std::memcpy(&h, at, sizeof(h));
    return kv.type == DType::f16 ? f16_to_f32(h) : bf16_to_f32(h);
  }
  float f;
  if (kv.type == DType::i8) {
    std::memcpy(&f, tile + scale_at(kv, d, slot), sizeof(f));
    return f * static_cast<float>(std::to_integer<int8_t>(*at));
  }
  std::memcpy(&f, at, sizeof(f));
  return f;
}

/// The scale of n values in i8; an infinite one counts as the largest finite one.
float scale_of(const float* x, int32_t n) {
  float most = 0;
  for (int32_t d = 0; d < n; ++d) most = std::max(most, std::fabs(x[d]));
  return std::min(most, std::numeric_limits<float>::max()) / 127.0f;
}

/// Stores x (D) of one position at first, first + step, ...
void store_row(const KvShape& kv, const float* x, std::byte* tile, int64_t first, int64_t step, int64_t slot) {
  float scale = 0;
  for (int32_t d = 0; d < kv.D; ++d) {
    std::byte* const at = tile + static_cast<size_t>(first + d * step) * kv.value_bytes();
    if (kv.type == DType::i8) {
      if (d % kKvBlock == 0) {
        scale = scale_of(x + d, std::min<int32_t>(kKvBlock, kv.D - d));
        std::memcpy(tile + scale_at(kv, d, slot), &scale, sizeof(scale));
      }
      const float scaled = scale > 0 ? std::clamp(x[d] / scale, -127.0f, 127.0f) : 0.0f;
      *at = static_cast<std::byte>(static_cast<int8_t>(std::nearbyint(scaled)));
    } else if (kv.type == DType::f16) {
      const uint16_t h = f32_to_f16(std::clamp(x[d], -kMaxF16, kMaxF16));
      std::memcpy(at, &h, sizeof(h));
    } else if (kv.type == DType::bf16) {
      const uint16_t h = f32_to_bf16(std::clamp(x[d], -kMaxBf16, kMaxBf16));
      std::memcpy(at, &h, sizeof(h));
    } else {
      std::memcpy(at, &x[d], sizeof(float));
    }
  }
}

void kv_store(const KvShape& kv, const float* k, const float* v, std::byte* page, int32_t slot) {
  for (int32_t g = 0; g < kv.G; ++g, k += kv.D, v += kv.D) {
    store_row(kv, k, page + kv.key_offset(g), slot, kPageTokens, slot);
    store_row(kv, v, page + kv.value_offset(g), int64_t{slot} * kv.D, 1, slot);
  }
}

/// Positions [begin, end) that one query sees.
struct Visible {
  int64_t begin, end;
};

Visible visible(const AttentionTile& tile, int64_t query, int64_t begin, int64_t end) {
  const int64_t position = tile.position + query;
  end = std::min(end, tile.causal ? position + 1 : tile.length);
  if (tile.window > 0) begin = std::max(begin, position - tile.window + 1);
  return {begin, end};
}

/// scores[p] for the positions of `seen`, all of them in the page whose keys are given.
void score_page(const AttentionTile& tile, const std::byte* keys, const float* q, Visible seen, float* scores) {
  for (int64_t p = seen.begin; p < seen.end; ++p) {
    const int64_t slot = p % kPageTokens;
    float dot = 0;
    for (int64_t d = 0; d < tile.kv.D; ++d) dot += q[d] * load(tile.kv, keys, d * kPageTokens + slot, d, slot);
    const float s = dot * tile.scale;
    scores[slot] = tile.softcap > 0 ? tile.softcap * std::tanh(s / tile.softcap) : s;
  }
}

/// Adds one page to the running softmax of one query head (max, sum, acc (D)).
void add_page(const AttentionTile& tile, const std::byte* page, const float* q, Visible seen, float& max, float& sum,
              float* acc) {
  float scores[kPageTokens];
  score_page(tile, page + tile.kv.key_offset(tile.g), q, seen, scores);

  float top = max;
  for (int64_t p = seen.begin; p < seen.end; ++p) top = std::max(top, scores[p % kPageTokens]);
  const float rescale = std::exp(max - top);  // 0 at the start, where max is -inf
  max = top;
  sum *= rescale;
  for (int64_t d = 0; d < tile.kv.D; ++d) acc[d] *= rescale;

  const std::byte* values = page + tile.kv.value_offset(tile.g);
  for (int64_t p = seen.begin; p < seen.end; ++p) {
    const int64_t slot = p % kPageTokens;
    const float weight = std::exp(scores[slot] - top);
    sum += weight;
    for (int64_t d = 0; d < tile.kv.D; ++d) acc[d] += weight * load(tile.kv, values, slot * tile.kv.D + d, d, slot);
  }
}

void attention_split(const AttentionTile& tile, int64_t begin, int64_t end, AttentionState state, std::byte*) {
  for (int64_t i = 0; i < tile.queries; ++i) {
    const Visible seen = visible(tile, i, begin, end);
    for (int64_t from = seen.begin; from < seen.end;) {
      const int64_t to = std::min(seen.end, (from / kPageTokens + 1) * kPageTokens);
      const std::byte* page = tile.pages[from / kPageTokens];
      for (int64_t j = 0; j < tile.group; ++j) {
        const int64_t r = i * tile.group + j;
        const float* q = tile.q + i * tile.q_stride + j * tile.kv.D;
        add_page(tile, page, q, {from, to}, state.max[r], state.sum[r], state.acc + r * tile.kv.D);
      }
      from = to;
    }
  }
}

size_t attention_scratch_bytes(int32_t, int32_t) { return 0; }

void attention_merge(AttentionState into, AttentionState from, int64_t rows, int64_t D) {
  for (int64_t r = 0; r < rows; ++r) {
    if (from.max[r] == kNone) continue;  // this split showed the row nothing
    const float top = std::max(into.max[r], from.max[r]);
    const float into_factor = std::exp(into.max[r] - top), from_factor = std::exp(from.max[r] - top);
    into.max[r] = top;
    into.sum[r] = into.sum[r] * into_factor + from.sum[r] * from_factor;
    for (int64_t i = r * D; i < (r + 1) * D; ++i) into.acc[i] = into.acc[i] * into_factor + from.acc[i] * from_factor;
  }
}

void attention_finish(AttentionState state, int64_t queries, int64_t group, int64_t D, float* out, int64_t out_stride) {
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t j = 0; j < group; ++j) {
      const int64_t r = i * group + j;
      // A row that saw nothing answers zeros.
      const float factor = state.sum[r] > 0 ? 1.0f / state.sum[r] : 0.0f;
      for (int64_t d = 0; d < D; ++d) out[i * out_stride + j * D + d] = state.acc[r * D + d] * factor;
    }
}

}  // namespace

void fill_ref_attention(KernelTable& table) {
  table.kv_store = kv_store;
  table.attention_split = attention_split;
  table.attention_scratch_bytes = attention_scratch_bytes;
  table.attention_merge = attention_merge;
  table.attention_finish = attention_finish;
}

}  // namespace kinglet
