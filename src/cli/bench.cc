// kinglet bench: prompt and decode speed at given depths, with the fields that other programs' measurements have.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/version.h"
#include "cli/load_model.h"
#include "formats/json.h"
#include "host/error.h"

namespace kinglet::cli {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Words {
  CommonOptions common;
  ModelWords model;
  int64_t prompt = 512;
  int64_t generate = 64;
  std::vector<int64_t> depths = {0};
  int repeats = 3;
  bool verbose = false;
  bool read = false;
};

struct Measurement {
  std::string_view test;
  int64_t tokens, depth;
  std::vector<double> speeds;  // tokens a second, sorted
};

/// Of sorted values.
double median(const std::vector<double>& v) {
  const size_t n = v.size();
  return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

class Bench {
 public:
  Bench(const Words& words, Runner& runner) : words_(words), runner_(runner), kv_(runner.new_sequence()) {
    const int64_t V = runner.model().hyper().V;
    const int64_t most =
        *std::max_element(words.depths.begin(), words.depths.end()) + std::max(words.prompt, words.generate);
    // Spread over the vocabulary, the same ids as the peers' scripts; tiny vocabularies have no room for their offset.
    for (int64_t i = 0; i < most + 8; ++i)
      ids_.push_back(static_cast<TokenId>(V > 500 ? (i * 7919 + 13) % (V - 300) + 100 : i * 7919 % V));
    long_rope_ = most > runner.model().original_context();
  }

  Status deepen(int64_t depth) {
    if (kv_.length() > depth) kv_.clear();
    return evaluate(kv_, depth - kv_.length(), runner_.batch_tokens(), Outputs::none);
  }

  // One warm-up, then the repeats, each from a fork of the sequence at its depth.
  Result<Measurement> measure(std::string_view test, int64_t tokens, int64_t batch) {
    Measurement out{test, tokens, kv_.length(), {}};
    for (int i = 0; i <= words_.repeats; ++i) {
      KL_ASSIGN(KvSequence fork, kv_.fork());
      const auto start = Clock::now();
      KL_TRY(evaluate(fork, tokens, batch, Outputs::last));
      if (i > 0) out.speeds.push_back(static_cast<double>(tokens) / seconds_since(start));
      else runner_.model().packed().wait();
    }
    std::sort(out.speeds.begin(), out.speeds.end());
    return out;
  }

 private:
  Status evaluate(KvSequence& kv, int64_t tokens, int64_t batch, Outputs outputs) {
    for (int64_t done = 0; done < tokens;) {
      const int64_t count = std::min(batch, tokens - done);
      const BatchPart part{&kv, std::span(ids_).subspan(static_cast<size_t>(kv.length()), static_cast<size_t>(count)),
                           outputs, long_rope_};
      KL_TRY(runner_.run({&part, 1}));
      done += count;
    }
    return ok_status();
  }

  const Words& words_;
  Runner& runner_;
  KvSequence kv_;
  std::vector<TokenId> ids_;
  bool long_rope_ = false;
};

/// The packed weights of a model as decoding one token reads them.
std::vector<std::span<const std::byte>> decode_weights(const Model& model) {
  std::vector<std::span<const std::byte>> out;
  for (const ParamData& p : model.params()) {
    if (p.panels == nullptr) continue;
    const size_t i = static_cast<size_t>(&p - model.params().data());
    const int64_t panels = ceil_div<int64_t>(model.program().params[i].shape[0], kPanelRows);
    out.emplace_back(p.panels, static_cast<size_t>(panels) * p.panel_bytes);
  }
  return out;
}

using Words16 = uint64_t __attribute__((vector_size(16)));
Words16 load(const std::byte* p) {
  Words16 out;
  std::memcpy(&out, p, sizeof(out));
  return out;
}

/// GB/s at which the runner's threads read these `gigabytes` with nothing to compute: what bounds decoding, in the memory where they lie.
double read_speed(Runner& runner, std::span<const std::span<const std::byte>> weights, double gigabytes, int repeats) {
  constexpr size_t kPiece = size_t{1} << 20;
  std::vector<std::span<const std::byte>> pieces;
  for (std::span<const std::byte> w : weights)
    for (size_t at = 0; at < w.size(); at += kPiece) pieces.push_back(w.subspan(at, std::min(kPiece, w.size() - at)));
  std::vector<double> speeds;
  std::atomic<uint64_t> seen = 0;  // so that no compiler leaves the reading out
  for (int i = 0; i <= repeats; ++i) {
    const auto start = Clock::now();
    runner.parallel().for_each(static_cast<int64_t>(pieces.size()), [&](int64_t piece, int) {
      const std::span<const std::byte> p = pieces[static_cast<size_t>(piece)];
      Words16 a{}, b{}, c{}, d{};
      for (size_t at = 0; at + 64 <= p.size(); at += 64) {
        a |= load(p.data() + at);
        b |= load(p.data() + at + 16);
        c |= load(p.data() + at + 32);
        d |= load(p.data() + at + 48);
      }
      const Words16 bits = (a | b) | (c | d);
      seen.fetch_or(bits[0] | bits[1], std::memory_order_relaxed);
    });
    if (i > 0) speeds.push_back(gigabytes / seconds_since(start));
  }
  std::sort(speeds.begin(), speeds.end());
  return median(speeds);
}

/// Reads the weights as often as the tests were repeated and says what share of that speed decoding reached.
void print_read(const Words& words, Runner& runner, const Measurement& decode) {
  const auto weights = decode_weights(runner.model());
  double gigabytes = 0;
  for (const auto& w : weights) gigabytes += static_cast<double>(w.size()) * 1e-9;
  const double speed = read_speed(runner, weights, gigabytes, words.repeats);
  const double share = median(decode.speeds) * gigabytes / speed;
  if (words.common.json)
    fmt::print("{}\n", to_text(Json{{"peer", "kinglet"},
                                    {"test", "read"},
                                    {"depth", decode.depth},
                                    {"gb", gigabytes},
                                    {"gb_per_s", speed},
                                    {"decode_share", share}}));
  else
    fmt::print("read    {:.2f} GB of weights at {:.1f} GB/s; decoding reached {:.2f} of that\n", gigabytes, speed,
               share);
  std::fflush(stdout);
}

void print(const Words& words, const LoadedModel& loaded, const Runner& runner, const Measurement& m,
           double load_seconds) {
  const double speed = median(m.speeds);
  const std::string file = std::filesystem::path(loaded.path).filename().string();
  if (!words.common.json) {
    fmt::print("{:<7} {:>6} {:>7} {:>10.2f} {:>10.2f} {:>10.2f}\n", m.test, m.tokens, m.depth, speed, m.speeds.front(),
               m.speeds.back());
    std::fflush(stdout);
    return;
  }
  const auto round2 = [](double x) { return std::round(x * 100) / 100; };
  const Json row = {{"peer", "kinglet"},
                    {"version", kVersion},
                    {"model", file},
                    {"test", m.test},
                    {"tokens", m.tokens},
                    {"depth", m.depth},
                    {"threads", runner.threads()},
                    {"kernels", loaded.model->kernels().name},
                    {"tok_per_s", round2(speed)},
                    {"low", round2(m.speeds.front())},
                    {"high", round2(m.speeds.back())},
                    {"load_s", round2(load_seconds)},
                    {"peak_rss_mb", peak_resident_bytes() >> 20}};
  fmt::print("{}\n", to_text(row));
  std::fflush(stdout);
}

void describe(const Words& words, const LoadedModel& loaded, const Runner& runner, double load_seconds) {
  if (words.common.json) return;
  fmt::print("{}: {} threads, {} kernels, opened in {:.2f} s\n", std::filesystem::path(loaded.path).filename().string(),
             runner.threads(), loaded.model->kernels().name, load_seconds);
  if (words.verbose) {
    const Tuning& tuning = machine_tuning();
    fmt::print("tuned for {}: {} kernels, {} threads, up to {} tokens in registers ({})\n", tuning.processor,
               tuning.kernels, tuning.threads, tuning.few_tokens, fmt::join(tuning.trials, ", "));
  }
  if (words.verbose) fmt::print("{}; {}\n", loaded.model->packed().description(), loaded.ledger->breakdown());
  fmt::print("{:<7} {:>6} {:>7} {:>10} {:>10} {:>10}\n", "test", "tokens", "depth", "tok/s", "low", "high");
}

Status run(const Words& words) {
  const auto start = Clock::now();
  KL_ASSIGN(const LoadedModel loaded, load_model(words.model, words.common));
  KL_ASSIGN(RunnerOptions options, runner_options(words.model, words.common));
  options.batch_tokens = std::max<int64_t>(words.prompt, 1);
  const int64_t deepest = *std::max_element(words.depths.begin(), words.depths.end());
  if (options.context == 0) options.context = deepest + std::max(words.prompt, words.generate) + 8;
  KL_ASSIGN(const auto runner, Runner::create(*loaded.model, options));
  const double load_seconds = seconds_since(start);
  if (const std::string warning = kernel_warning(loaded.model->kernels()); !warning.empty())
    fmt::print(stderr, "kinglet bench: {}\n", warning);
  describe(words, loaded, *runner, load_seconds);
  Bench bench(words, *runner);
  for (int64_t depth : words.depths) {
    KL_TRY(bench.deepen(depth));
    if (words.prompt > 0) {
      KL_ASSIGN(const Measurement m, bench.measure("prompt", words.prompt, words.prompt));
      print(words, loaded, *runner, m, load_seconds);
    }
    if (words.generate > 0) {
      KL_ASSIGN(const Measurement m, bench.measure("decode", words.generate, 1));
      print(words, loaded, *runner, m, load_seconds);
      if (words.read) print_read(words, *runner, m);
    }
  }
  if (!words.common.json) fmt::print("peak resident memory {}\n", format_bytes(peak_resident_bytes()));
  return ok_status();
}

}  // namespace

Action setup_bench(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_common(arguments, words->common);
  add_model(arguments, words->model);
  add_cache(arguments, words->model);
  arguments.option("-p,--prompt", words->prompt, "tokens of the prompt test, one batch (0: none)")
      .show_default()
      .range(0, 1 << 20);
  arguments.option("-n,--gen", words->generate, "tokens of the decode test, one at a time (0: none)")
      .show_default()
      .range(0, 1 << 20);
  arguments.option("-d,--depth", words->depths, "tokens of context before each test, e.g. 0,4096")
      .delimiter(',')
      .range(0, 1 << 28);
  arguments.option("-r,--repeat", words->repeats, "repeats after one warm-up; the median is printed")
      .show_default()
      .range(1, 1000);
  arguments.flag("--read", words->read,
                 "also read the weights with nothing to compute, and say what share of that speed decoding reached");
  arguments.flag("-v,--verbose", words->verbose, "also print where the weights lie and the memory ledger");
  arguments.footer("Example:\n  kinglet bench qwen2.5-coder-0.5b -p 512 -n 64 -d 0,4096 --json");
  return [words] { return run(*words); };
}

}  // namespace kinglet::cli
