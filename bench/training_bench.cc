// Training: the f32 products of every row of kernels in the three forms that a linear layer takes, and whole steps (forward,
// loss, backward; no optimizer) of a 7M-parameter Llama.
//
//   bench_training --benchmark_filter='Products/avx2/.*threads:2'
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "arch/model_spec.h"
#include "formats/hf_directory.h"
#include "host/threads.h"
#include "train/graph.h"
#include "train/product.h"

namespace kinglet::train {
namespace {

enum class Form { forward, input_gradient, weight_gradient };

void run_product(benchmark::State& state, const std::string& row, Form form, int threads, int64_t T, int64_t N,
                 int64_t K) {
  ThreadPool pool(threads);
  Ledger ledger;
  const KernelTable& kernels = *find_kernels(row.c_str());
  auto products = Products::create(kernels, gradient_kernels(kernels), pool.parallel(), ledger);
  std::vector<float> x(static_cast<size_t>(T * K), 1), w(static_cast<size_t>(N * K), 1),
      y(static_cast<size_t>(T * N), 1);
  Parameter weight{.shape = {N, K}, .values = w};
  const Matrix in{x.data(), K, T, K}, out{y.data(), N, T, N};
  for (auto _ : state) {
    if (form == Form::forward) products->forward(in, weight, nullptr, out, Write::store);
    if (form == Form::input_gradient) products->input_gradient(out, weight, in, Write::store);
    if (form == Form::weight_gradient) products->weight_gradient(out, in, w.data());
  }
  state.counters["FLOP/s"] = benchmark::Counter(
      2.0 * static_cast<double>(T * N * K), benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

/// Width 288, 6 layers, feed-forward 768, vocabulary 4096.
HfDirectory seven_million() {
  HfDirectory directory{.path = "llama-7m"};
  directory.config = {{"architectures", {"LlamaForCausalLM"}},
                      {"model_type", "llama"},
                      {"hidden_size", 288},
                      {"intermediate_size", 768},
                      {"num_hidden_layers", 6},
                      {"num_attention_heads", 6},
                      {"max_position_embeddings", 512},
                      {"rms_norm_eps", 1e-5},
                      {"rope_theta", 10000.0},
                      {"tie_word_embeddings", true},
                      {"vocab_size", 4096}};
  return directory;
}

void run_step(benchmark::State& state, const std::string& row, int threads, Checkpointing checkpointing) {
  constexpr int64_t kB = 8, kT = 256;
  ThreadPool pool(threads);
  Ledger ledger;
  const Checkpoint checkpoint = Checkpoint::of(seven_million());
  const auto spec = read_model_spec(checkpoint);
  if (!spec.ok()) return state.SkipWithError(std::string(spec.status().text()).c_str());
  auto parameters = Parameters::random(spec->program, 1, ledger);
  auto graph = Graph::create(spec->program, *parameters,
                             {.parallel = pool.parallel(), .checkpointing = checkpointing, .kernels = row}, ledger);
  std::mt19937 random(1);
  std::vector<Sample> samples(kB);
  for (Sample& s : samples) {
    for (int64_t i = 0; i < kT; ++i) s.ids.push_back(static_cast<int32_t>(random() % 4096));
    s.labels = s.ids;
  }
  const Batch batch = make_batch(samples);
  for (auto _ : state)
    if (!graph->backward(batch, 1.0 / static_cast<double>(unmasked(batch))).ok())
      return state.SkipWithError("backward failed");
  state.counters["tokens/s"] = benchmark::Counter(kB * kT, benchmark::Counter::kIsIterationInvariantRate);
}

const int registered = [] {
  const std::pair<const char*, Form> forms[] = {
      {"forward", Form::forward}, {"dx", Form::input_gradient}, {"dw", Form::weight_gradient}};
  const int64_t shapes[][3] = {{2048, 768, 288}, {2048, 288, 288}, {512, 4864, 896},
                               {512, 896, 4864}, {512, 896, 896},  {512, 32768, 896}};
  const KernelRows rows = available_kernels();
  for (int i = 0; i + 1 < rows.count; ++i)  // the reference is there for its exactness
    for (int threads : {1, ThreadPool::available()}) {
      const std::string row = rows.rows[i]->name, tail = "/threads:" + std::to_string(threads);
      for (const auto& [form_name, form] : forms)
        for (const auto& s : shapes) {
          const std::string shape = std::to_string(s[0]) + "x" + std::to_string(s[1]) + "x" + std::to_string(s[2]);
          benchmark::RegisterBenchmark(("Products/" + row + "/" + form_name + "/" + shape + tail).c_str(), run_product,
                                       row, form, threads, s[0], s[1], s[2])
              ->UseRealTime();
        }
      benchmark::RegisterBenchmark(("Step/" + row + tail).c_str(), run_step, row, threads, Checkpointing::none)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
      benchmark::RegisterBenchmark(("Step/" + row + "/checkpointing" + tail).c_str(), run_step, row, threads,
                                   Checkpointing::layers)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  return 0;
}();

}  // namespace
}  // namespace kinglet::train
