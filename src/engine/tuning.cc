#include "engine/tuning.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <random>

#include "base/cpu.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "host/memory.h"
#include "host/processor.h"
#include "host/threads.h"

namespace kinglet {
namespace {

constexpr int kVersion = 1;        // raise it when what is measured or chosen changes
constexpr double kClearly = 1.15;  // a choice against the rule needs this much
constexpr int kRepeats = 5;        // the fastest counts: whatever disturbs only slows down

/// Takes times, and notices when other programs had the processors meanwhile.
class Stopwatch {
 public:
  /// Of `work` on so many threads, the fastest of some repeats.
  double seconds(int threads, auto&& work) {
    double best = 1e9;
    const auto begin = std::chrono::steady_clock::now();
    const std::clock_t used = std::clock();
    for (int i = 0; i < kRepeats; ++i) {
      const auto start = std::chrono::steady_clock::now();
      work();
      best = std::min(best, since(start));
    }
    processor_ += static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC;
    wall_ += threads * since(begin);
    return best;
  }
  bool disturbed() const { return processor_ < 0.85 * wall_; }

 private:
  static double since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  double processor_ = 0, wall_ = 0;
};

// A product with a Q4_K weight (N, K) of T tokens. Its values do not matter, as long as they are numbers.
class Product {
 public:
  Product(const KernelTable& row, int64_t N, int64_t K, int64_t T) : row_(row), N_(N), K_(K) {
    const size_t row_bytes = *::kinglet::row_bytes(DType::q4_k, static_cast<uint64_t>(K));
    panel_bytes_ = row_bytes * kPanelRows;
    act_stride_ = kernels().act == ActKind::f32 ? static_cast<size_t>(K) * sizeof(float) : row.act_row_bytes(K);
    scratch_bytes_ =
        kernels().matmul_scratch_bytes == nullptr ? 64 : round_up<size_t>(kernels().matmul_scratch_bytes(T, K), 64);
    const size_t weights = panel_bytes_ * static_cast<size_t>(N / kPanelRows),
                 acts = act_stride_ * static_cast<size_t>(T);
    auto block = Block::allocate(weights + acts + kMostThreads * scratch_bytes_, MemoryUse::other, ledger_);
    if (!block.ok()) return;
    memory_ = *std::move(block);
    acts_ = memory_.data() + weights;
    scratch_ = acts_ + acts;
    out_.resize(static_cast<size_t>(T * N));
    fill(weights, T);
  }

  bool ok() const { return memory_.size() > 0; }
  double bytes() const { return static_cast<double>(panel_bytes_) * static_cast<double>(N_ / kPanelRows); }
  double operations(int64_t T) const {
    return 2.0 * static_cast<double>(T) * static_cast<double>(N_) * static_cast<double>(K_);
  }

  void run(int64_t T, int64_t few, const Parallel& parallel) {
    constexpr int64_t kPanels = 8;
    const int64_t panels = N_ / kPanelRows;
    parallel.for_each(ceil_div(panels, kPanels), [&](int64_t chunk, int worker) {
      kernels().matmul({.panels = memory_.data(),
                        .panel_bytes = panel_bytes_,
                        .acts = acts_,
                        .act_stride = act_stride_,
                        .out = out_.data(),
                        .out_stride = N_,
                        .bias = nullptr,
                        .T = T,
                        .K = K_,
                        .N = N_,
                        .panel_begin = chunk * kPanels,
                        .panel_end = std::min(panels, (chunk + 1) * kPanels),
                        .epilogue = Epilogue::store,
                        .scratch = scratch_ + static_cast<size_t>(worker) * scratch_bytes_,
                        .few = few});
    });
  }

  static constexpr int kMostThreads = 256;

 private:
  const WeightKernels& kernels() const { return row_.weights[static_cast<size_t>(DType::q4_k)]; }

  // One panel of random rows, over and over.
  void fill(size_t weights, int64_t T) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> x(static_cast<size_t>(K_) * kPanelRows);
    for (float& v : x) v = normal(random);
    const size_t row_bytes = panel_bytes_ / kPanelRows;
    std::vector<std::byte> rows(panel_bytes_);
    for (int r = 0; r < kPanelRows; ++r)
      quantize_row(DType::q4_k)(x.data() + r * K_, K_, rows.data() + static_cast<size_t>(r) * row_bytes);
    if (kernels().pack == nullptr) std::memcpy(memory_.data(), rows.data(), panel_bytes_);
    else kernels().pack(rows.data(), row_bytes, kPanelRows, K_, memory_.data());
    for (size_t at = panel_bytes_; at < weights; at += panel_bytes_)
      std::memcpy(memory_.data() + at, memory_.data(), panel_bytes_);
    for (int64_t t = 0; t < T; ++t) {
      std::byte* to = acts_ + static_cast<size_t>(t) * act_stride_;
      if (const auto convert = row_.convert(kernels().act)) convert(x.data(), K_, 1, K_, to, act_stride_);
      else std::memcpy(to, x.data(), static_cast<size_t>(K_) * sizeof(float));
    }
  }

  const KernelTable& row_;
  int64_t N_, K_;
  size_t panel_bytes_ = 0, act_stride_ = 0, scratch_bytes_ = 0;
  Ledger ledger_;
  Block memory_;
  std::byte* acts_ = nullptr;
  std::byte* scratch_ = nullptr;
  std::vector<float> out_;
};

// Rows that multiply quantized weights by int8; the reference is never the fastest.
const KernelTable* choose_row(Tuning& out, Stopwatch& watch) {
  const KernelRows rows = available_kernels();
  const KernelTable* best = rows.rows[0];
  double best_rate = 0;
  for (int i = 0; i < rows.count; ++i) {
    const KernelTable& row = *rows.rows[i];
    if (row.weights[static_cast<size_t>(DType::q4_k)].act != ActKind::int8) continue;
    constexpr int64_t kTokens = 64;
    Product product(row, 256, 2048, kTokens);
    if (!product.ok()) continue;
    const double rate =
        product.operations(kTokens) / watch.seconds(1, [&] { product.run(kTokens, 0, Parallel::serial()); });
    out.trials.push_back(fmt::format("{} {:.0f} GOP/s", row.name, rate * 1e-9));
    if (best_rate > 0 && rate < kClearly * best_rate) continue;
    best = &row;
    best_rate = rate;
  }
  return best;
}

// The largest batch that is faster decoded in registers.
int64_t choose_few_tokens(const KernelTable& row, Tuning& out, Stopwatch& watch) {
  constexpr int64_t kMost = 32;
  Product product(row, 256, 2048, kMost);
  int64_t few = 1;
  if (!product.ok() || row.weights[static_cast<size_t>(DType::q4_k)].act != ActKind::int8) return few;
  for (const int64_t T : {2, 3, 4, 6, 8, 12, 16, 24, 32}) {
    const double direct = watch.seconds(1, [&] { product.run(T, T, Parallel::serial()); });
    const double tiles = watch.seconds(1, [&] { product.run(T, 1, Parallel::serial()); });
    if (direct > tiles) break;
    few = T;
  }
  out.trials.push_back(fmt::format("batches up to {} in registers", few));
  return few;
}

// Reading weights that no cache holds, as decoding does: with hyper-threads or a quota of processor time fewer threads can be faster.
int choose_threads(const KernelTable& row, Tuning& out, Stopwatch& watch) {
  const int most = std::min(ThreadPool::available(), Product::kMostThreads);
  Product product(row, 16384, 4096, 1);  // 38 MB
  if (!product.ok()) return most;
  int best = most;
  double best_rate = 0;
  for (int threads = most; threads >= 1 && threads >= most / 2; threads = threads == most ? most / 2 : 0) {
    ThreadPool pool(threads);
    const double rate = product.bytes() / watch.seconds(threads, [&] { product.run(1, 0, pool.parallel()); });
    out.trials.push_back(fmt::format("{} threads {:.1f} GB/s", threads, rate * 1e-9));
    if (best_rate > 0 && rate < kClearly * best_rate) continue;
    best = threads;
    best_rate = rate;
  }
  return best;
}

Json to_json(const Tuning& t) {
  return {{"kernels", t.kernels}, {"threads", t.threads}, {"few_tokens", t.few_tokens}, {"trials", t.trials}};
}

// Whatever is not as to_json() writes it is as good as absent.
std::optional<Tuning> from_json(const Json& all, const std::string& processor) {
  if (!all.is_object() || !all.contains(processor)) return std::nullopt;
  const Json& j = all[processor];
  const auto is_number = [&](const char* key) { return j.contains(key) && j[key].is_number_integer(); };
  if (!j.is_object() || !j.contains("kernels") || !j["kernels"].is_string() || !is_number("threads") ||
      !is_number("few_tokens"))
    return std::nullopt;
  Tuning out{.processor = processor,
             .kernels = j["kernels"].get<std::string>(),
             .threads = j["threads"].get<int>(),
             .few_tokens = j["few_tokens"].get<int64_t>(),
             .trials = {}};
  if (j.contains("trials") && j["trials"].is_array()) {
    for (const Json& trial : j["trials"])
      if (trial.is_string()) out.trials.push_back(trial.get<std::string>());
  }
  const bool good = find_kernels(out.kernels.c_str()) != nullptr && out.threads >= 1 && out.threads <= 1024 &&
                    out.few_tokens >= 0 && out.few_tokens <= 1024;
  return good ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace

std::string processor_key() {
  const KernelRows rows = available_kernels();
  std::string out = fmt::format("{}, {} threads,", processor_name(), ThreadPool::available());
  for (int i = 0; i < rows.count; ++i) out += fmt::format(" {}", rows.rows[i]->name);
  return out + fmt::format(", probe {}", kVersion);
}

Tuning probe_machine() {
  Tuning out{.processor = processor_key(), .kernels = {}, .trials = {}};
  Stopwatch watch;
  const KernelTable* row = choose_row(out, watch);
  out.kernels = row->name;
  out.few_tokens = choose_few_tokens(*row, out, watch);
  out.threads = choose_threads(*row, out, watch);
  if (!watch.disturbed()) return out;
  const KernelTable& best = *available_kernels().rows[0];
  out.disturbed = true;
  if (row != &best) out.few_tokens = 0;
  out.kernels = best.name;
  out.threads = ThreadPool::available();
  out.trials.emplace_back("not remembered: other programs were running");
  return out;
}

Tuning find_tuning(const std::string& path) {
  const std::string processor = processor_key();
  Json all = Json::object();
  if (!path.empty() && is_file(path)) {
    if (auto read = read_json(path); read.ok() && read->is_object()) all = *std::move(read);
  }
  if (auto known = from_json(all, processor)) return *std::move(known);
  Tuning found = probe_machine();
  all[processor] = to_json(found);
  if (!path.empty() && !found.disturbed) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    if (make_directories(folder).ok()) (void)write_file(path, to_text(all, 1) + "\n");
  }
  return found;
}

std::string kernel_warning(const KernelTable& row) {
  const KernelRows rows = available_kernels();
  if (&row != rows.rows[0])
    return fmt::format("{} kernels were chosen, and this processor can run {}", row.name, rows.rows[0]->name);
  return {};
}

}  // namespace kinglet
