// Matrix products of every row and weight type: GB/s of packed weights for one token, GOP/s (two operations for each
// multiply-add) for many, packing speed, and beside them what the machine allows: read bandwidth and the peak of the
// dot-product instructions. One thread; rates are of processor time.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/cpu.h"
#include "kernels/kernels.h"

namespace kinglet {
namespace {

struct Free {
  void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{kHugePage}); }
  static constexpr size_t kHugePage = size_t{2} << 20;
};
using Memory = std::unique_ptr<std::byte[], Free>;
/// In pages of 2 MB where the system has them, as the program holds weights.
Memory allocate(size_t bytes) {
  Memory m(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{Free::kHugePage})));
#if defined(MADV_HUGEPAGE)
  madvise(m.get(), bytes, MADV_HUGEPAGE);
#endif
  std::memset(m.get(), 0, bytes);
  return m;
}

/// A packed weight (N, K) of random values: 64 rows are quantized and repeated.
Memory packed_weight(const KernelTable& table, DType type, int64_t N, int64_t K) {
  const size_t bytes = *row_bytes(type, static_cast<uint64_t>(K));
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> x(static_cast<size_t>(kPanelRows * K));
  for (float& v : x) v = normal(random);
  std::vector<std::byte> rows(bytes * kPanelRows);
  for (int r = 0; r < kPanelRows; ++r)
    quantize_row(type)(x.data() + r * K, K, rows.data() + static_cast<size_t>(r) * bytes);
  Memory panels = allocate(bytes * static_cast<size_t>(N));
  const WeightKernels& k = table.weights[static_cast<size_t>(type)];
  for (int64_t p = 0; p < N / kPanelRows; ++p)
    k.pack(rows.data(), bytes, kPanelRows, K, panels.get() + static_cast<size_t>(p * kPanelRows) * bytes);
  return panels;
}

void multiply(benchmark::State& state, const KernelTable* table, DType type, int64_t T, int64_t N, int64_t K) {
  const WeightKernels& k = table->weights[static_cast<size_t>(type)];
  const Memory panels = packed_weight(*table, type, N, K);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(T * K));
  for (float& v : x) v = normal(random);
  const size_t stride = k.act == ActKind::int8 ? table->act_row_bytes(K) : static_cast<size_t>(K) * 4;
  const Memory acts = allocate(stride * static_cast<size_t>(T));
  if (k.act == ActKind::int8) table->quantize_rows(x.data(), K, T, K, acts.get(), stride);
  else std::memcpy(acts.get(), x.data(), x.size() * 4);
  std::vector<float> out(static_cast<size_t>(T * N));
  const Memory scratch = allocate(k.matmul_scratch_bytes == nullptr ? 64 : k.matmul_scratch_bytes(T, K) + 64);
  const size_t panel_bytes = *row_bytes(type, static_cast<uint64_t>(K)) * kPanelRows;
  for (auto _ : state) {
    for (int64_t p = 0; p < N / kPanelRows; p += 8) {
      k.matmul({panels.get(), panel_bytes, acts.get(), stride, out.data(), N, nullptr, T, K, N, p,
                std::min(p + 8, N / kPanelRows), Epilogue::store, scratch.get()});
    }
    benchmark::ClobberMemory();
  }
  const double weights = static_cast<double>(panel_bytes) * static_cast<double>(N / kPanelRows);
  using benchmark::Counter;
  state.counters["GB/s"] = Counter(weights * 1e-9, Counter::kIsIterationInvariantRate);
  state.counters["GOP/s"] = Counter(2e-9 * static_cast<double>(T * N * K), Counter::kIsIterationInvariantRate);
}

void pack(benchmark::State& state, const KernelTable* table, DType type) {
  constexpr int64_t K = 4096, N = 1024;
  const size_t bytes = *row_bytes(type, K);
  const Memory rows = allocate(bytes * N), panel = allocate(bytes * kPanelRows);
  for (auto _ : state) {
    for (int64_t n = 0; n < N; n += kPanelRows)
      table->weights[static_cast<size_t>(type)].pack(rows.get() + static_cast<size_t>(n) * bytes, bytes, kPanelRows, K,
                                                     panel.get());
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(bytes * N) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void quantize(benchmark::State& state, const KernelTable* table) {
  constexpr int64_t K = 4096, T = 64;
  std::vector<float> x(K * T, 0.5f);
  const Memory out = allocate(table->act_row_bytes(K) * T);
  for (auto _ : state) {
    table->quantize_rows(x.data(), K, T, K, out.get(), table->act_row_bytes(K));
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = benchmark::Counter(K * T * 4e-9, benchmark::Counter::kIsIterationInvariantRate);
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void read_bandwidth(benchmark::State& state) {
  constexpr size_t kBytes = size_t{512} << 20;
  const Memory memory = allocate(kBytes);
  for (auto _ : state) {
    __m512i sum[4] = {};
    for (size_t i = 0; i < kBytes; i += 256)  // one stream, as a panel is read
      for (size_t s = 0; s < 4; ++s) sum[s] = _mm512_or_si512(sum[s], _mm512_load_si512(memory.get() + i + 64 * s));
    benchmark::DoNotOptimize(sum);
  }
  state.counters["GB/s"] = benchmark::Counter(kBytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

// Twelve independent chains of one instruction, enough to hide its latency.
#define KL_CHAINS(op, acc) \
  asm volatile(op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) \
               : "+x"(acc[0]), "+x"(acc[1]), "+x"(acc[2]), "+x"(acc[3]), "+x"(acc[4]), "+x"(acc[5]), "+x"(acc[6]), \
                 "+x"(acc[7]), "+x"(acc[8]), "+x"(acc[9]), "+x"(acc[10]), "+x"(acc[11]) \
               : "x"(a), "x"(b))
#define KL_VNNI(j) "vpdpbusd %12, %13, %" #j "\n"
#define KL_FMA(j) "vfmadd231ps %12, %13, %" #j "\n"
#define KL_MADDUBS(j) "vpmaddubsw %12, %13, %%ymm15\nvpaddw %%ymm15, %" #j ", %" #j "\n"

/// `operations` of one instruction, two for each multiply-add.
#define KL_PEAK(name, isa, Vector, op, operations) \
  __attribute__((target(isa))) void name(benchmark::State& state) { \
    Vector acc[12] = {}, a = {}, b = {}; \
    constexpr int64_t kRounds = 4096; \
    for (auto _ : state) \
      for (int64_t i = 0; i < kRounds; ++i) KL_CHAINS(op, acc); \
    state.counters["GOP/s"] = \
        benchmark::Counter(1e-9 * (operations)*12 * kRounds, benchmark::Counter::kIsIterationInvariantRate); \
  }
KL_PEAK(peak_vnni, "avx512f,avx512vnni", __m512i, KL_VNNI, 128)
KL_PEAK(peak_fma, "avx512f", __m512, KL_FMA, 32)
KL_PEAK(peak_maddubs, "avx2", __m256i, KL_MADDUBS, 64)
#endif

/// N rows of K = 4096 that take about `bytes`.
int64_t rows_of(DType type, int64_t bytes, int64_t K) {
  const int64_t panel = static_cast<int64_t>(*row_bytes(type, static_cast<uint64_t>(K))) * kPanelRows;
  return std::max<int64_t>(bytes / panel, 1) * kPanelRows;
}

void register_all() {
  using benchmark::RegisterBenchmark;
#if defined(__x86_64__)
  if (cpu_features().avx512) {
    RegisterBenchmark("peak/read", read_bandwidth);
    RegisterBenchmark("peak/vnni", peak_vnni);
    RegisterBenchmark("peak/fma", peak_fma);
  }
  if (cpu_features().avx2) RegisterBenchmark("peak/maddubs", peak_maddubs);
#endif
  const KernelRows available = available_kernels();
  for (int i = 0; i < available.count; ++i) {
    const KernelTable* table = available.rows[i];
    const std::string row = table->name;
    RegisterBenchmark((row + "/quantize").c_str(), quantize, table);
    for (const DTypeInfo& t : kDTypes) {
      if (table->weights[static_cast<size_t>(t.dtype)].matmul == nullptr) continue;
      const std::string type(t.name);
      RegisterBenchmark((row + "/pack/" + type).c_str(), pack, table, t.dtype);
      for (int64_t T : {1, 2, 4, 8, 16, 64, 512}) {
        const int64_t K = 4096, N = T == 1 ? rows_of(t.dtype, 160 << 20, K) : 512;
        RegisterBenchmark((row + "/" + type + "/T:" + std::to_string(T)).c_str(), multiply, table, t.dtype, T, N, K);
      }
      RegisterBenchmark((row + "/" + type + "/T:1/from the cache").c_str(), multiply, table, t.dtype, 1,
                        rows_of(t.dtype, 256 << 10, 4096), 4096);
      // A prompt's: the weights come out of memory.
      RegisterBenchmark((row + "/" + type + "/T:256/from memory").c_str(), multiply, table, t.dtype, 256,
                        rows_of(t.dtype, 64 << 20, 4096), 4096);
    }
  }
}

}  // namespace
}  // namespace kinglet

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  kinglet::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
