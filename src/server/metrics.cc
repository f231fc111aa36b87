#include "server/metrics.h"

#include <fmt/format.h>

namespace kinglet::server {
namespace {

// A label's value between quotes.
std::string label(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

class Page {
 public:
  explicit Page(const std::vector<ModelMetrics>& models) : models_(models) {}

  void head(const char* name, const char* type, const char* help) {
    out += fmt::format("# HELP kinglet_{0} {2}\n# TYPE kinglet_{0} {1}\n", name, type, help);
  }
  template <typename F>
  void each(const char* name, const char* type, const char* help, F value) {
    head(name, type, help);
    for (const ModelMetrics& m : models_) {
      out += fmt::format("kinglet_{}{{model=\"{}\"}} {}\n", name, label(m.model), value(m));
    }
  }
  void histogram(const char* name, const char* help, Histogram SchedulerStats::*member) {
    head(name, "histogram", help);
    for (const ModelMetrics& m : models_) {
      const Histogram& h = m.stats.*member;
      const std::string model = label(m.model);
      uint64_t count = 0;
      for (size_t i = 0; i < h.counts.size(); ++i) {
        count += h.counts[i];
        const std::string bound = i < Histogram::kBounds.size() ? fmt::format("{}", Histogram::kBounds[i]) : "+Inf";
        out += fmt::format("kinglet_{}_bucket{{model=\"{}\",le=\"{}\"}} {}\n", name, model, bound, count);
      }
      out += fmt::format("kinglet_{0}_sum{{model=\"{1}\"}} {2}\nkinglet_{0}_count{{model=\"{1}\"}} {3}\n", name, model,
                         h.sum, count);
    }
  }
  std::string out;

 private:
  const std::vector<ModelMetrics>& models_;
};

}  // namespace

std::string metrics_text(const ServerMetrics& metrics, const Ledger& ledger) {
  const std::vector<ModelMetrics>& models = metrics.models;
  Page page(models);
  using M = const ModelMetrics&;
  page.each("requests_waiting", "gauge", "Requests in the queue.", [](M m) { return m.stats.waiting; });
  page.each("answers_running", "gauge", "Answers under way.", [](M m) { return m.stats.running; });
  page.each("cached_sequences", "gauge", "Sequences in the prefix cache.",
            [](M m) { return m.stats.cached_sequences; });
  page.each("key_value_bytes", "gauge", "Keys and values in use.", [](M m) { return m.stats.kv_bytes; });
  page.each("stalled_seconds", "gauge", "Time since the model's last sign of life, while it has work.",
            [](M m) { return m.stalled_seconds; });
  page.head("answers_total", "counter", "Answers that ended, by reason.");
  for (const ModelMetrics& m : models) {
    for (size_t i = 0; i < m.stats.finished.size(); ++i) {
      page.out += fmt::format("kinglet_answers_total{{model=\"{}\",finish=\"{}\"}} {}\n", label(m.model),
                              name(static_cast<Finish>(i)), m.stats.finished[i]);
    }
  }
  page.each("requests_failed_total", "counter", "Requests that failed.", [](M m) { return m.stats.failed; });
  page.each("requests_refused_total", "counter", "Requests that the queue had no room for.",
            [](M m) { return m.stats.refused; });
  page.each("prompt_tokens_total", "counter", "Tokens of prompts.", [](M m) { return m.stats.prompt_tokens; });
  page.each("cached_tokens_total", "counter", "Tokens of prompts that the prefix cache had.",
            [](M m) { return m.stats.cached_tokens; });
  page.each("answer_tokens_total", "counter", "Tokens of answers.", [](M m) { return m.stats.answer_tokens; });
  page.each("guessed_tokens_total", "counter", "Tokens evaluated before they were known.",
            [](M m) { return m.stats.guessed_tokens; });
  page.each("accepted_tokens_total", "counter", "Of those, tokens that came true.",
            [](M m) { return m.stats.accepted_tokens; });
  page.each("batches_total", "counter", "Batches evaluated.", [](M m) { return m.stats.steps; });
  page.each("preemptions_total", "counter", "Answers that gave up their memory for a while.",
            [](M m) { return m.stats.preemptions; });
  page.each("evictions_total", "counter", "Sequences that the prefix cache let go.",
            [](M m) { return m.stats.evictions; });
  page.each("constraint_seconds_total", "counter", "What following grammars and their masks took, of token_seconds.",
            [](M m) { return m.stats.constraint_seconds; });
  page.each("grammars", "gauge", "Compiled grammars.", [](M m) { return m.grammars.grammars; });
  page.each("grammar_bytes", "gauge", "What they take, with the masks made for them.",
            [](M m) { return m.grammars.bytes; });
  page.each("grammars_found_total", "counter", "Requests whose grammar was compiled already.",
            [](M m) { return m.grammars.found; });
  page.each("grammars_compiled_total", "counter", "Requests whose grammar was not.",
            [](M m) { return m.grammars.compiled; });
  page.each("grammars_evicted_total", "counter", "Compiled grammars that others drove out.",
            [](M m) { return m.grammars.evicted; });
  page.each("grammar_compile_seconds_total", "counter", "What compiling them took.",
            [](M m) { return m.grammars.compile_seconds; });
  page.histogram("first_token_seconds", "From a request's arrival to its first token.", &SchedulerStats::first_token);
  page.histogram("token_seconds", "Between the tokens of an answer.", &SchedulerStats::per_token);
  page.head("memory_bytes", "gauge", "Memory by use.");
  for (size_t i = 0; i < kMemoryUses; ++i) {
    const auto use = static_cast<MemoryUse>(i);
    page.out += fmt::format("kinglet_memory_bytes{{use=\"{}\"}} {}\n", name(use), ledger.used(use));
  }
  page.head("open_requests", "gauge", "Requests without a complete answer.");
  page.out += fmt::format("kinglet_open_requests {}\n", metrics.open_requests);
  page.head("model_loaded", "gauge",
            "Whether the model is in memory; what is told of models begins anew with each load.");
  for (const auto& [model, loaded] : metrics.loaded)
    page.out += fmt::format("kinglet_model_loaded{{model=\"{}\"}} {}\n", label(model), loaded ? 1 : 0);
  const auto count = [&](const char* name, const char* help, uint64_t value) {
    page.head(name, "counter", help);
    page.out += fmt::format("kinglet_{} {}\n", name, value);
  };
  count("model_loads_total", "Models loaded.", metrics.shelf.loads);
  count("model_unloads_total", "Models unloaded to make room.", metrics.shelf.unloads);
  count("model_failures_total", "Models that could not be loaded, for want of room or for their files.",
        metrics.shelf.failures);
  return page.out;
}

}  // namespace kinglet::server
