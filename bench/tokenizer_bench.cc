// Loading a tokenizer, and megabytes a second of encoding and decoding.
//
//   KINGLET_BENCH_VOCABS=a.gguf:b.gguf KINGLET_BENCH_TEXTS=x.txt:y.txt bench_tokenizer
//
// Without them: the GGUF files in the model cache, and a made-up text. The word cache is warm after the first pass, as
// it is in a program that runs for a while; "cold" starts each pass with a new tokenizer's empty one.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>

#include "tokenizer/tokenizer.h"

namespace kinglet {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> paths_of(const char* variable) {
  std::vector<std::string> paths;
  const char* value = std::getenv(variable);
  std::istringstream list(value == nullptr ? "" : value);
  for (std::string path; std::getline(list, path, ':');) {
    if (!path.empty()) paths.push_back(path);
  }
  return paths;
}

std::vector<std::string> cached_models() {
  const char* home = std::getenv("KINGLET_HOME");
  const char* user = std::getenv("HOME");
  const fs::path folder =
      home != nullptr ? fs::path(home) / "models" : fs::path(user == nullptr ? "." : user) / ".cache/kinglet/models";
  std::vector<std::string> paths;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".gguf") paths.push_back(entry.path().string());
  }
  return paths;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Words of letters in the frequencies of English, by Zipf's law.
std::string made_up_text(size_t bytes) {
  std::mt19937 random(1);
  std::discrete_distribution<int> letters(
      {82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2, 20, 1});
  std::vector<std::string> words(20000);
  for (auto& word : words) {
    for (size_t n = 2 + random() % 8; n > 0; --n) word += static_cast<char>('a' + letters(random));
  }
  std::vector<double> weights;
  for (size_t i = 0; i < words.size(); ++i) weights.push_back(1.0 / static_cast<double>(i + 1));
  std::discrete_distribution<size_t> pick(weights.begin(), weights.end());
  std::string text;
  while (text.size() < bytes) text += words[pick(random)] + (random() % 12 == 0 ? ".\n" : " ");
  return text;
}

Tokenizer load(const std::string& path) {
  auto checkpoint = Checkpoint::open(path);
  if (!checkpoint.ok()) std::fprintf(stderr, "%s\n", std::string(checkpoint.status().text()).c_str()), std::exit(1);
  auto tokenizer = Tokenizer::load(*checkpoint);
  if (!tokenizer.ok()) std::fprintf(stderr, "%s\n", std::string(tokenizer.status().text()).c_str()), std::exit(1);
  return *std::move(tokenizer);
}

void count_bytes(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(bytes));
}

void bench_load(benchmark::State& state, const std::string& path) {
  const auto checkpoint = Checkpoint::open(path);
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::load(*checkpoint));
}

void bench_encode(benchmark::State& state, const std::string& path, const std::string& text) {
  const Tokenizer tokenizer = load(path);
  size_t tokens = 0;
  for (auto _ : state) tokens = tokenizer.encode(text).size();
  count_bytes(state, text.size());
  state.counters["bytes_per_token"] =
      static_cast<double>(text.size()) / static_cast<double>(std::max<size_t>(tokens, 1));
}

void bench_encode_cold(benchmark::State& state, const std::string& path, const std::string& text) {
  const auto checkpoint = Checkpoint::open(path);
  for (auto _ : state) {
    state.PauseTiming();
    const Tokenizer tokenizer = *Tokenizer::load(*checkpoint);
    state.ResumeTiming();
    benchmark::DoNotOptimize(tokenizer.encode(text));
  }
  count_bytes(state, text.size());
}

void bench_decode(benchmark::State& state, const std::string& path, const std::string& text) {
  const Tokenizer tokenizer = load(path);
  const auto ids = tokenizer.encode(text);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.decode(ids));
  count_bytes(state, text.size());
}

struct NamedText {
  std::string name, text;
};

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  auto vocabs = paths_of("KINGLET_BENCH_VOCABS");
  if (vocabs.empty()) vocabs = cached_models();
  std::vector<NamedText> texts;
  for (const std::string& path : paths_of("KINGLET_BENCH_TEXTS"))
    texts.push_back({fs::path(path).filename(), read_file(path)});
  if (texts.empty()) texts.push_back({"made-up", made_up_text(size_t{4} << 20)});
  for (const std::string& path : vocabs) {
    const std::string name = fs::path(path).stem();
    const auto unit = benchmark::kMillisecond;
    benchmark::RegisterBenchmark(("Load/" + name).c_str(), bench_load, path)->Unit(unit);
    for (const NamedText& text : texts) {
      const std::string what = name + "/" + text.name;
      benchmark::RegisterBenchmark(("Encode/" + what).c_str(), bench_encode, path, text.text)->Unit(unit);
      benchmark::RegisterBenchmark(("EncodeCold/" + what).c_str(), bench_encode_cold, path, text.text)->Unit(unit);
      benchmark::RegisterBenchmark(("Decode/" + what).c_str(), bench_decode, path, text.text)->Unit(unit);
    }
    benchmark::RegisterBenchmark(("Encode/" + name + "/one-letter-1MB").c_str(), bench_encode, path,
                                 std::string(size_t{1} << 20, 'a'))
        ->Unit(unit);
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace kinglet

int main(int argc, char** argv) { return kinglet::run(argc, argv); }
