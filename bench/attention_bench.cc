// Attention kernels of every row against what bounds them: decode against the read bandwidth of the memory, prompts
// against the rate of f32 multiply-adds, both measured here, on the same number of threads.
//
//   bench_attention --benchmark_filter='Decode/avx2/.*threads:2'
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "host/threads.h"
#include "kernels/kernels.h"

namespace kinglet {
namespace {

double seconds_of(const auto& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<std::byte, FreeDeleter>;

Buffer make_buffer(size_t bytes) {
  Buffer buffer(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)));
  std::memset(buffer.get(), 0, bytes);
  return buffer;
}

/// Bytes a second that `threads` read from memory, best of some passes over 256 MB.
double read_bandwidth(int threads) {
  static const Buffer buffer = make_buffer(size_t{256} << 20);
  constexpr int64_t kChunk = 1 << 20, kChunks = 256;
  ThreadPool pool(threads);
  std::vector<uint64_t> sums(kChunks);
  double best = 1e9;
  for (int pass = 0; pass < 12; ++pass)
    best = std::min(best, seconds_of([&] {
                      pool.parallel().for_each(kChunks, [&](int64_t chunk, int) {
                        const auto* p = reinterpret_cast<const uint64_t*>(buffer.get() + chunk * kChunk);
                        uint64_t sum[8] = {};
                        for (int64_t i = 0; i < kChunk / 8; i += 8)
                          for (int j = 0; j < 8; ++j) sum[j] += p[i + j];
                        for (const uint64_t s : sum) sums[static_cast<size_t>(chunk)] += s;
                      });
                    }));
  benchmark::DoNotOptimize(sums.data());
  return static_cast<double>(kChunk * kChunks) / best;
}

using Lanes = float __attribute__((vector_size(32)));

/// Multiply-adds in registers, `rounds` times 12 of 8 lanes.
#if defined(__x86_64__)
__attribute__((target("avx2,fma")))
#endif
void multiply_adds(int64_t rounds, float* out) {
  Lanes sums[12], factor;
  for (auto& s : sums) s = Lanes{} + out[0];
  factor = Lanes{} + out[1];
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (auto& s : sums) s = s * factor + factor;
    asm volatile("" ::: "memory");
  }
  for (const auto& s : sums) out[0] += s[0] + s[7];
}

/// Multiplications and additions a second of `threads`. (512-bit units of one a cycle have the same peak.)
double multiply_add_peak(int threads) {
  ThreadPool pool(threads);
  constexpr int64_t kRounds = 400000;
  double best = 1e9;
  for (int pass = 0; pass < 8; ++pass)
    best = std::min(best, seconds_of([&] {
                      pool.parallel().for_each(threads * 4, [&](int64_t, int) {
                        float out[2] = {0.5f, 0.25f};
                        multiply_adds(kRounds, out);
                        benchmark::DoNotOptimize(out[0]);
                      });
                    }));
  return 4.0 * threads * kRounds * 12 * 8 * 2 / best;
}

struct Bounds {
  double bandwidth, peak;
};
const Bounds& bounds(int threads) {
  static const Bounds one{read_bandwidth(1), multiply_add_peak(1)};
  static const Bounds two{read_bandwidth(2), multiply_add_peak(2)};
  return threads == 1 ? one : two;
}

struct Model {
  const char* name;
  int32_t G, group, D, layers;
};
constexpr Model kModels[] = {
    {"phi3mini", 32, 1, 96, 2}, {"mistral7b", 8, 4, 128, 4}, {"gemma270m", 1, 4, 256, 18},
    {"qwen05b", 2, 7, 64, 24},  {"group8", 2, 8, 64, 24},
};

/// Some layers' caches, filled to `length`, and queries.
class Workload {
 public:
  Workload(const KernelTable& table, const Model& model, DType type, int64_t length, int64_t queries, int threads)
      : table_(table), model_(model), length_(length), queries_(queries), pool_(threads) {
    kv_.type = type;
    kv_.G = model.G;
    kv_.D = model.D;
    const auto width = static_cast<size_t>(model.G * model.D);
    std::vector<float> k(width), v(width);
    const int64_t pages = (length + kPageTokens - 1) / kPageTokens;
    cache_ = make_buffer(static_cast<size_t>(pages * model.layers) * kv_.page_bytes());
    for (int64_t i = 0; i < pages * model.layers; ++i)
      pages_.push_back(cache_.get() + static_cast<size_t>(i) * kv_.page_bytes());
    for (int64_t p = 0; p < pages * kPageTokens * model.layers; ++p) {
      for (size_t i = 0; i < width; ++i) {
        k[i] = std::sin(static_cast<float>(p * 7 + static_cast<int64_t>(i)));
        v[i] = std::cos(static_cast<float>(p * 3 + static_cast<int64_t>(i)));
      }
      table.kv_store(kv_, k.data(), v.data(), pages_[static_cast<size_t>(p / kPageTokens)],
                     static_cast<int32_t>(p % kPageTokens));
    }
    q_.assign(static_cast<size_t>(queries) * row_width(), 0.3f);
    out_.resize(q_.size());
  }

  double cache_bytes() const {
    return 2.0 * model_.layers * static_cast<double>(length_) * model_.G * model_.D *
           static_cast<double>(kv_.value_bytes());
  }
  double operations() const {
    double seen = 0;
    for (int64_t i = 0; i < queries_; ++i) seen += static_cast<double>(length_ - queries_ + i + 1);
    return 4.0 * seen * model_.layers * model_.G * model_.group * model_.D;
  }

  /// One query: every (head, split) is a chunk; then one chunk merges.
  void decode() {
    const int64_t splits = (length_ + kSplitTokens - 1) / kSplitTokens;
    std::vector<Part> parts;
    for (int64_t i = 0; i < splits * model_.G; ++i) parts.emplace_back(model_.group, model_.D, table_);
    for (int layer = 0; layer < model_.layers; ++layer) {
      pool_.parallel().for_each(splits * model_.G, [&](int64_t chunk, int) {
        Part& part = parts[static_cast<size_t>(chunk)];
        part.clear();
        const int64_t begin = chunk % splits * kSplitTokens;
        table_.attention_split(tile(layer, static_cast<int32_t>(chunk / splits), 0, 1), begin,
                               std::min(length_, begin + kSplitTokens), part.view(), part.scratch.get());
      });
      for (int64_t g = 0; g < model_.G; ++g) {
        const AttentionState total = parts[static_cast<size_t>(g * splits)].view();
        for (int64_t s = 1; s < splits; ++s)
          table_.attention_merge(total, parts[static_cast<size_t>(g * splits + s)].view(), model_.group, model_.D);
        table_.attention_finish(total, 1, model_.group, model_.D, out_.data() + g * model_.group * model_.D,
                                row_width());
      }
    }
  }

  /// Every (head, tile of queries) is a chunk, which takes its splits in turn.
  void prompt(int64_t tile_queries) {
    const int64_t tiles = (queries_ + tile_queries - 1) / tile_queries, rows = tile_queries * model_.group;
    for (int layer = 0; layer < model_.layers; ++layer)
      pool_.parallel().for_each(tiles * model_.G, [&](int64_t chunk, int) {
        Part total(rows, model_.D, table_), part(rows, model_.D, table_);
        const auto g = static_cast<int32_t>(chunk % model_.G);
        const int64_t first = chunk / model_.G * tile_queries, count = std::min(tile_queries, queries_ - first);
        const AttentionTile t = tile(layer, g, first, count);
        const int64_t end = t.position + count;
        for (int64_t begin = 0; begin < end; begin += kSplitTokens) {
          Part& to = begin == 0 ? total : part;
          to.clear();
          table_.attention_split(t, begin, std::min(end, begin + kSplitTokens), to.view(), to.scratch.get());
          if (begin > 0) table_.attention_merge(total.view(), part.view(), count * model_.group, model_.D);
        }
        table_.attention_finish(total.view(), count, model_.group, model_.D,
                                out_.data() + first * row_width() + g * model_.group * model_.D, row_width());
      });
  }

 private:
  struct Part {
    int64_t rows, D;
    std::vector<float> max, sum, acc;
    Buffer scratch;
    Part(int64_t rows_, int64_t D_, const KernelTable& table)
        : rows(rows_),
          D(D_),
          max(static_cast<size_t>(rows_)),
          sum(static_cast<size_t>(rows_)),
          acc(static_cast<size_t>(rows_ * D_)),
          scratch(
              make_buffer(table.attention_scratch_bytes(static_cast<int32_t>(rows_), static_cast<int32_t>(D_)) + 64)) {}
    void clear() {
      std::fill(max.begin(), max.end(), -std::numeric_limits<float>::infinity());
      std::fill(sum.begin(), sum.end(), 0.0f);
      std::fill(acc.begin(), acc.end(), 0.0f);
    }
    AttentionState view() { return {max.data(), sum.data(), acc.data()}; }
  };

  int64_t row_width() const { return int64_t{model_.G} * model_.group * model_.D; }

  AttentionTile tile(int layer, int32_t g, int64_t first, int64_t count) const {
    const int64_t pages = (length_ + kPageTokens - 1) / kPageTokens;
    AttentionTile t{};
    t.kv = kv_;
    t.pages = pages_.data() + layer * pages;
    t.q = q_.data() + first * row_width() + int64_t{g} * model_.group * model_.D;
    t.q_stride = row_width();
    t.queries = static_cast<int32_t>(count);
    t.group = model_.group;
    t.g = g;
    t.position = length_ - queries_ + first;
    t.length = length_;
    t.causal = true;
    t.scale = 1.0f / std::sqrt(static_cast<float>(model_.D));
    return t;
  }

  const KernelTable& table_;
  Model model_;
  KvShape kv_;
  int64_t length_, queries_;
  ThreadPool pool_;
  Buffer cache_;
  std::vector<std::byte*> pages_;
  std::vector<float> q_, out_;
};

void decode(benchmark::State& state, const KernelTable* table, Model model, DType type, int64_t length, int threads) {
  Workload work(*table, model, type, length, 1, threads);
  double best = 1e9;
  for (auto _ : state) best = std::min(best, seconds_of([&] { work.decode(); }));
  state.counters["GB/s"] = work.cache_bytes() / best * 1e-9;
  state.counters["of_bandwidth"] = work.cache_bytes() / best / bounds(threads).bandwidth;
  state.counters["of_peak"] = work.operations() / best / bounds(threads).peak;
}

void prompt(benchmark::State& state, const KernelTable* table, Model model, DType type, int64_t depth, int threads) {
  model.layers = 1;
  Workload work(*table, model, type, depth + 512, 512, threads);
  double best = 1e9;
  for (auto _ : state) best = std::min(best, seconds_of([&] { work.prompt(32); }));
  state.counters["GFLOP/s"] = work.operations() / best * 1e-9;
  state.counters["of_peak"] = work.operations() / best / bounds(threads).peak;
}

void register_all() {
  const KernelRows rows = available_kernels();
  for (int i = 0; i + 1 < rows.count; ++i)  // the reference's figures tell nothing
    for (const Model& model : kModels)
      for (const DType type : {DType::f16, DType::f32})
        for (const int threads : {1, 2}) {
          const KernelTable* table = rows.rows[i];
          const auto title = [&](const char* what, int64_t depth) {
            return std::string(what) + "/" + table->name + "/" + model.name + "/" + std::string(name(type)) +
                   "/depth:" + std::to_string(depth) + "/threads:" + std::to_string(threads);
          };
          benchmark::RegisterBenchmark(title("Decode", 4096).c_str(),
                                       [=](benchmark::State& s) { decode(s, table, model, type, 4096, threads); })
              ->Unit(benchmark::kMillisecond)
              ->UseRealTime();
          for (const int64_t depth : {0, 4096})
            benchmark::RegisterBenchmark(title("Prompt", depth).c_str(),
                                         [=](benchmark::State& s) { prompt(s, table, model, type, depth, threads); })
                ->Unit(benchmark::kMillisecond)
                ->UseRealTime();
        }
}

const bool registered = (register_all(), true);

}  // namespace
}  // namespace kinglet
