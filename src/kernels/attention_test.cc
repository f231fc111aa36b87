// Paged attention of every row against softmax(q k) v in double precision, and bit for bit across ways to cut the work.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing.h"

namespace kinglet {
namespace {

/// One sequence of `length` positions with its pages, and queries for its last `queries` positions.
struct Problem {
  DType type = DType::f16;
  int32_t G = 1, D = 64, group = 1;
  int64_t length = 1, queries = 1, window = 0;
  bool causal = true;
  float softcap = 0;
};

void PrintTo(const Problem& p, std::ostream* os) {
  *os << name(p.type) << " G " << p.G << " D " << p.D << " group " << p.group << " length " << p.length << " queries "
      << p.queries << " window " << p.window << " causal " << p.causal << " softcap " << p.softcap;
}

class Attention {
 public:
  Attention(const KernelTable& table, const Problem& problem) : table_(table), problem_(problem) {
    kv_.type = problem.type;
    kv_.G = problem.G;
    kv_.D = problem.D;
    std::mt19937 engine(static_cast<uint32_t>(problem.length * 131 + problem.D));
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& v, int64_t n) {
      v.resize(static_cast<size_t>(n));
      for (float& x : v) x = normal(engine);
    };
    fill(k_, problem.length * problem.G * problem.D);
    fill(v_, problem.length * problem.G * problem.D);
    fill(q_, problem.queries * heads() * problem.D);
    fill_pages();
  }

  int64_t heads() const { return int64_t{problem_.G} * problem_.group; }
  int64_t row_width() const { return heads() * problem_.D; }

  /// (queries, H, D), with the queries in tiles of `tile_queries`; in_turn runs the splits into one running result,
  /// else each split into a result of its own, merged afterwards.
  std::vector<float> run(int64_t tile_queries, bool in_turn = true) const {
    std::vector<float> out(q_.size());
    for (int32_t g = 0; g < problem_.G; ++g)
      for (int64_t first = 0; first < problem_.queries; first += tile_queries)
        run_tile(g, first, std::min(tile_queries, problem_.queries - first), in_turn, out.data());
    return out;
  }

  /// The largest difference from the model in double precision, in units of what rounding explains.
  double error(const std::vector<float>& out) const {
    double worst = 0;
    for (int64_t i = 0; i < problem_.queries; ++i)
      for (int64_t h = 0; h < heads(); ++h) worst = std::max(worst, head_error(out, i, h));
    return worst;
  }

 private:
  struct State {
    std::vector<float> max, sum, acc;
    State(int64_t rows, int64_t D)
        : max(static_cast<size_t>(rows), -std::numeric_limits<float>::infinity()),
          sum(static_cast<size_t>(rows)),
          acc(static_cast<size_t>(rows * D)) {}
    AttentionState view() { return {max.data(), sum.data(), acc.data()}; }
  };

  void fill_pages() {
    const auto page_count = static_cast<size_t>((problem_.length + kPageTokens - 1) / kPageTokens);
    const size_t floats = kv_.page_bytes() / sizeof(float) + 16;
    // Slots that nothing is stored in hold NaN (all bits set is one in every type): reading them must not show.
    storage_.assign(page_count * floats, std::bit_cast<float>(0xffffffffu));
    for (size_t i = 0; i < page_count; ++i) {
      auto address = reinterpret_cast<uintptr_t>(storage_.data() + i * floats);
      pages_.push_back(reinterpret_cast<std::byte*>((address + 63) & ~uintptr_t{63}));
    }
    const int64_t width = int64_t{problem_.G} * problem_.D;
    for (int64_t p = 0; p < problem_.length; ++p)
      table_.kv_store(kv_, k_.data() + p * width, v_.data() + p * width, pages_[static_cast<size_t>(p / kPageTokens)],
                      static_cast<int32_t>(p % kPageTokens));
    // What every window has left is freed.
    const int64_t first_seen = first_position() - problem_.window + 1;
    if (problem_.window > 0)
      for (int64_t p = 0; (p + 1) * kPageTokens <= first_seen; ++p) pages_[static_cast<size_t>(p)] = nullptr;
  }

  int64_t first_position() const { return problem_.length - problem_.queries; }

  void run_tile(int32_t g, int64_t first, int64_t count, bool in_turn, float* out) const {
    AttentionTile tile{};
    tile.kv = kv_;
    tile.pages = pages_.data();
    tile.q = q_.data() + first * row_width() + int64_t{g} * problem_.group * problem_.D;
    tile.q_stride = row_width();
    tile.queries = static_cast<int32_t>(count);
    tile.group = problem_.group;
    tile.g = g;
    tile.position = first_position() + first;
    tile.window = problem_.window;
    tile.length = problem_.length;
    tile.causal = problem_.causal;
    tile.scale = scale();
    tile.softcap = problem_.softcap;

    const int64_t rows = count * problem_.group, D = problem_.D;
    const size_t scratch_bytes = table_.attention_scratch_bytes(static_cast<int32_t>(rows), problem_.D);
    std::vector<std::byte> scratch(scratch_bytes + 64);
    auto* aligned = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) & ~uintptr_t{63});

    const int64_t end = problem_.causal ? tile.position + count : problem_.length;
    const int64_t begin = problem_.window > 0 ? std::max<int64_t>(0, tile.position - problem_.window + 1) : 0;
    std::vector<State> parts;
    State total(rows, D);
    for (int64_t from = begin; from < end;) {
      const int64_t to = std::min(end, (from / kSplitTokens + 1) * kSplitTokens);
      State part(rows, D);
      table_.attention_split(tile, from, to, part.view(), aligned);
      if (in_turn) table_.attention_merge(total.view(), part.view(), rows, D);
      parts.push_back(std::move(part));
      from = to;
    }
    if (!in_turn)
      for (State& part : parts) table_.attention_merge(total.view(), part.view(), rows, D);
    table_.attention_finish(total.view(), count, problem_.group, D,
                            out + first * row_width() + int64_t{g} * problem_.group * D, row_width());
  }

  float scale() const { return 1.0f / std::sqrt(static_cast<float>(problem_.D)); }

  /// How far from x the cache may be: half a unit of f16 or bf16, or of i8 in a block whose largest value is given.
  double cache_error(double x, double largest) const {
    switch (problem_.type) {
      case DType::f16:
        return std::max(std::fabs(x) * 0x1p-11, 0x1p-25);
      case DType::bf16:
        return std::fabs(x) * 0x1p-9;
      case DType::i8:
        return largest / 254;
      default:
        return 0;
    }
  }
  /// Of the block of a row that d is in.
  double largest(const float* row, int64_t d) const {
    double most = 0;
    const int64_t begin = d / kKvBlock * kKvBlock;
    for (int64_t i = begin; i < std::min<int64_t>(begin + kKvBlock, problem_.D); ++i)
      most = std::max<double>(most, std::fabs(row[i]));
    return most;
  }

  double head_error(const std::vector<float>& out, int64_t i, int64_t h) const {
    const int64_t D = problem_.D, g = h / problem_.group, width = int64_t{problem_.G} * D;
    const int64_t position = first_position() + i;
    const int64_t end = problem_.causal ? position + 1 : problem_.length;
    const int64_t begin = problem_.window > 0 ? std::max<int64_t>(0, position - problem_.window + 1) : 0;
    const float* q = q_.data() + i * row_width() + h * D;
    const auto row_of = [&](const std::vector<float>& x, int64_t p) { return x.data() + p * width + g * D; };
    std::vector<double> scores;
    double top = -1e300, score_noise = 0;
    for (int64_t p = begin; p < end; ++p) {
      double s = 0, magnitude = 0, cache_noise = 0;
      const float* k = row_of(k_, p);
      for (int64_t d = 0; d < D; ++d) {
        s += static_cast<double>(q[d]) * k[d];
        magnitude += std::fabs(q[d] * k[d]);
        cache_noise += std::pow(q[d] * cache_error(k[d], largest(k, d)), 2);
      }
      s *= scale();
      // Rounding of D products and sums behaves as a random walk; the cache's rounding too.
      score_noise = std::max(score_noise, scale() * (magnitude * 0x1p-23 + 2 * std::sqrt(cache_noise)));
      if (problem_.softcap > 0) s = problem_.softcap * std::tanh(s / problem_.softcap);
      scores.push_back(s);
      top = std::max(top, s);
    }
    double sum = 0;
    for (double& s : scores) sum += s = std::exp(s - top);
    double worst = 0;
    for (int64_t d = 0; d < D; ++d) {
      double want = 0, magnitude = 0, cache_noise = 0;
      for (int64_t p = begin; p < end; ++p) {
        const auto at = static_cast<size_t>(p - begin);
        const double v = row_of(v_, p)[d], weight = scores[at] / sum;
        want += weight * v;
        magnitude += weight * std::fabs(v);
        cache_noise += std::pow(weight * cache_error(v, largest(row_of(v_, p), d)), 2);
      }
      const double allowed = magnitude * (4 * score_noise + 16 * 0x1p-23) + 4 * std::sqrt(cache_noise);
      const double got = out[static_cast<size_t>(i * row_width() + h * D + d)];
      worst = std::max(worst, std::isnan(got) ? 1e9 : std::fabs(got - want) / allowed);
    }
    return worst;
  }

  const KernelTable& table_;
  Problem problem_;
  KvShape kv_;
  std::vector<float> k_, v_, q_, storage_;
  std::vector<std::byte*> pages_;
};

class AttentionKernels : public testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& table() const { return *GetParam(); }
  void check(const Problem& problem) const {
    SCOPED_TRACE(testing::PrintToString(problem));
    const Attention attention(table(), problem);
    const auto whole = attention.run(problem.queries);
    EXPECT_LT(attention.error(whole), 1.0);
    for (const int64_t tile : {1, 3, 7, 16}) {
      if (tile >= problem.queries) break;
      const auto cut = attention.run(tile);
      EXPECT_EQ(std::memcmp(whole.data(), cut.data(), whole.size() * sizeof(float)), 0) << "tiles of " << tile;
    }
    const auto merged = attention.run(problem.queries, /*in_turn=*/false);
    EXPECT_EQ(std::memcmp(whole.data(), merged.data(), whole.size() * sizeof(float)), 0) << "merged";
  }
};

INSTANTIATE_TEST_SUITE_P(Rows, AttentionKernels, testing::ValuesIn(available_rows()),
                         [](const auto& row) { return std::string(row.param->name); });

TEST_P(AttentionKernels, EveryHeadWidth) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::i8})
    for (const int32_t D : {8, 16, 24, 64, 80, 96, 128, 256})
      for (const int64_t queries : {1, 11})
        check({.type = type, .G = 2, .D = D, .group = 3, .length = 100, .queries = queries});
}

TEST_P(AttentionKernels, EveryGroup) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::i8})
    for (int32_t group = 1; group <= 9; ++group)
      for (const int64_t queries : {1, 5}) check({.type = type, .group = group, .length = 131, .queries = queries});
}

TEST_P(AttentionKernels, LengthsAroundPagesAndSplits) {
  for (const int64_t length : {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1023, 1024, 1025, 1100})
    for (const int64_t queries : {int64_t{1}, std::min<int64_t>(length, 9)})
      check({.D = 16, .group = 2, .length = length, .queries = queries});
}

TEST_P(AttentionKernels, WholePrompt) {
  check({.type = DType::f16, .D = 64, .group = 7, .length = 140, .queries = 140});
  check({.type = DType::f32, .D = 16, .group = 1, .length = 530, .queries = 530});
}

TEST_P(AttentionKernels, Windows) {
  for (const int64_t window : {1, 16, 64, 65, 513, 5000})
    for (const int64_t queries : {1, 80})
      check({.D = 16, .group = 2, .length = 700, .queries = queries, .window = window});
}

TEST_P(AttentionKernels, NotCausal) {
  check({.type = DType::f32, .G = 2, .D = 32, .group = 1, .length = 77, .queries = 77, .causal = false});
  check({.type = DType::f16, .G = 1, .D = 64, .group = 2, .length = 520, .queries = 30, .causal = false});
  check({.type = DType::i8, .G = 1, .D = 64, .group = 2, .length = 520, .queries = 30, .causal = false});
}

TEST_P(AttentionKernels, Softcap) {
  for (const int64_t queries : {1, 40})
    check({.D = 64, .group = 2, .length = 333, .queries = queries, .softcap = 2.0f});
}

// A page holds what was stored, tile by tile: K transposed, V as it is, and f16 and bf16 keep to their finite values.
TEST_P(AttentionKernels, StoreLayout) {
  KvShape kv;
  kv.G = 2;
  kv.D = 24;
  std::vector<float> k(48), v(48);
  for (size_t i = 0; i < 48; ++i) {
    k[i] = static_cast<float>(i);
    v[i] = -static_cast<float>(i);
  }
  k[3] = std::numeric_limits<float>::infinity();
  v[3] = -k[3];
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    kv.type = type;
    std::vector<std::byte> page(kv.page_bytes());
    table().kv_store(kv, k.data(), v.data(), page.data(), 37);
    const auto bits = [&](size_t offset, int64_t i) {
      uint32_t b = 0;
      std::memcpy(&b, page.data() + offset + static_cast<size_t>(i) * kv.value_bytes(), kv.value_bytes());
      return b;
    };
    for (int32_t g = 0; g < 2; ++g)
      for (int32_t d = 0; d < 24; ++d) {
        const uint32_t key = bits(kv.key_offset(g), d * 64 + 37), value = bits(kv.value_offset(g), 37 * 24 + d);
        const auto i = static_cast<size_t>(g * 24 + d);
        if (type == DType::f32) {
          EXPECT_EQ(key, std::bit_cast<uint32_t>(k[i]));
          EXPECT_EQ(value, std::bit_cast<uint32_t>(v[i]));
        } else if (i == 3) {
          EXPECT_EQ(key, type == DType::f16 ? 0x7bffu : 0x7f7fu);
          EXPECT_EQ(value, type == DType::f16 ? 0xfbffu : 0xff7fu);
        } else {
          EXPECT_EQ(value, key | 0x8000u);  // small integers: value = -key
        }
      }
  }
}

// Whole numbers up to 127, the largest among them, are stored exactly in i8; zeros stay zeros, infinities end at the
// limit.
TEST_P(AttentionKernels, StoreInt8) {
  KvShape kv;
  kv.type = DType::i8;
  kv.G = 1;
  kv.D = 40;
  std::vector<float> k(40), v(40);
  for (size_t i = 0; i < 40; ++i) k[i] = (i % 2 == 0 ? 0.25f : -0.25f) * static_cast<float>(i * 3);
  k[7] = k[33] = 0.25f * 127;  // of each block of 32
  std::vector<std::byte> page(kv.page_bytes());
  const auto value = [&](size_t at) { return static_cast<int>(std::to_integer<int8_t>(page[at])); };
  const auto scale = [&](size_t tile, size_t slot, size_t block = 0) {
    float s;
    std::memcpy(&s, page.data() + tile + kv.scale_offset() + (block * kPageTokens + slot) * sizeof(s), sizeof(s));
    return s;
  };
  table().kv_store(kv, k.data(), v.data(), page.data(), 11);
  EXPECT_EQ(scale(kv.key_offset(0), 11), 0.25f);
  EXPECT_EQ(scale(kv.key_offset(0), 11, 1), 0.25f);
  EXPECT_EQ(scale(kv.value_offset(0), 11), 0.0f);
  for (size_t d = 0; d < 40; ++d) {
    EXPECT_EQ(value(kv.key_offset(0) + d * 64 + 11), k[d] * 4);
    EXPECT_EQ(value(kv.value_offset(0) + 11 * 40 + d), 0);
  }
  v[3] = -std::numeric_limits<float>::infinity();
  table().kv_store(kv, k.data(), v.data(), page.data(), 12);
  EXPECT_EQ(value(kv.value_offset(0) + 12 * 40 + 3), -127);
  EXPECT_TRUE(std::isfinite(scale(kv.value_offset(0), 12)));
}

}  // namespace
}  // namespace kinglet
