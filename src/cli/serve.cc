// kinglet serve: models behind an HTTP address.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cli/load_model.h"
#include "cli/template_option.h"
#include "host/error.h"
#include "host/file.h"
#include "hub/resolve.h"
#include "server/handed_socket.h"
#include "server/log.h"
#include "server/service.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxKeyFileBytes = uint64_t{1} << 20;
constexpr auto kDrainLook = std::chrono::milliseconds(20);

struct Words {
  CommonOptions common;
  ModelWords model;
  std::vector<std::string> models;
  std::string template_file, api_key_file, tls_certificate, tls_key, cache_memory = "1G", grammar_memory = "64M",
                                                                     max_body = "8M", speculate = "ngram";
  server::HttpOptions http;
  server::AccessOptions access;
  server::ServiceOptions service;
  SchedulerOptions scheduler;
  int drain_seconds = 30;
};

Result<server::AccessOptions> access_options(const Words& words) {
  server::AccessOptions options = words.access;
  options.loopback = server::is_loopback(words.http.host);
  if (!words.api_key_file.empty()) {
    KL_ASSIGN(options.keys, read_file(words.api_key_file, kMaxKeyFileBytes));
  }
  if (const char* key = std::getenv("KINGLET_API_KEY"); key != nullptr) options.keys += fmt::format("\n{}", key);
  return options;
}

Result<server::HttpOptions> http_options(const Words& words) {
  server::HttpOptions options = words.http;
  KL_ASSIGN(options.max_body, parse_bytes(words.max_body));
  if (words.tls_certificate.empty() != words.tls_key.empty()) {
    return Status(Code::invalid_argument, "--tls-certificate and --tls-key go together");
  }
  if (words.tls_certificate.empty()) return options;
  KL_ASSIGN(options.tls_certificate, read_file(words.tls_certificate, kMaxKeyFileBytes));
  KL_ASSIGN(options.tls_key, read_file(words.tls_key, kMaxKeyFileBytes));
  return options;
}

// What clients call the model: the word itself, or a path's last part without .gguf.
std::string served_name(const std::string& word) {
  if (word.find('/') == std::string::npos && !word.ends_with(".gguf")) return word;
  std::filesystem::path path(word);
  if (!path.has_filename()) path = path.parent_path();
  return path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
}

// The names that requests choose adapters by.
Result<std::vector<std::string>> adapter_names(const Words& words) {
  KL_ASSIGN(const std::vector<AdapterChoice> adapters, adapter_choices(words.model));
  std::vector<std::string> names;
  for (const AdapterChoice& adapter : adapters) {
    if (adapter.name.empty()) continue;
    if (std::ranges::find(names, adapter.name) != names.end())
      return error(Code::invalid_argument, "two adapters are called {}", adapter.name);
    names.push_back(adapter.name);
  }
  if (!names.empty() && words.models.size() > 1)
    return Status(Code::invalid_argument, "adapters that requests choose go with one model; serve it alone");
  return names;
}

// Loads the model that `word` names, with what answers for it; `more_memory`: as the scheduler's.
Result<std::unique_ptr<server::ServedModel>> serve_model(const Words& words, const std::string& word, Ledger& ledger,
                                                         std::function<bool()> more_memory) {
  auto made = std::make_unique<server::ServedModel>();
  server::ServedModel& served = *made;
  served.name = served_name(word);
  ModelWords one = words.model;
  one.name = word;
  KL_ASSIGN(served.model, load_model(one, ledger));
  const Model& model = *served.model;
  KL_ASSIGN(served.adapters, adapter_names(words));
  KL_ASSIGN(served.tokenizer, model.tokenizer());
  KL_ASSIGN(ChatSource source, template_source(words.template_file, model));
  if (!source.text.empty() || !source.tool_text.empty()) {
    KL_ASSIGN(served.chat, ChatFormat::create(*served.tokenizer, std::move(source)));
  }
  KL_ASSIGN(RunnerOptions options, runner_options(words.model, words.common));
  options.outputs = words.scheduler.parallel;
  if (words.speculate == "ngram") {
    options.outputs += SpeculationPace::kMostGuessed;
    served.drafter = [] { return std::make_unique<NgramDrafter>(); };
  }
  options.batch_tokens = std::max(options.batch_tokens, 2 * options.outputs);
  KL_ASSIGN(served.runner, Runner::create(model, options));
  SchedulerOptions scheduler = words.scheduler;
  KL_ASSIGN(scheduler.cache_bytes, parse_bytes(words.cache_memory));
  scheduler.more_memory = std::move(more_memory);
  KL_ASSIGN(served.scheduler, Scheduler::create(*served.runner, *served.tokenizer, scheduler));
  KL_ASSIGN(served.grammar_bytes, parse_bytes(words.grammar_memory));
  return made;
}

// All models that the words name, each loaded once. A word that names nothing, a model that is alone and cannot be loaded: errors; of others
// that cannot be loaded `failures` tells.
Status fill(server::ModelShelf& shelf, const Words& words, Ledger& ledger,
            std::vector<std::pair<std::string, Status>>& failures) {
  KL_ASSIGN(const std::vector<std::string> adapters, adapter_names(words));
  for (const std::string& word : words.models) {
    KL_TRY(hub::resolve_model(word).status());
    KL_TRY(shelf.add({served_name(word), adapters, [&shelf, &words, &ledger, word] {
                        return serve_model(words, word, ledger, [&shelf] { return shelf.make_room(); });
                      }}));
  }
  return shelf.load_all(failures);
}

// Signals that end the server wait to be asked for, in every thread that starts from here on.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~EndSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  void wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
  }
  /// Whether another one comes within `time`.
  bool again(std::chrono::nanoseconds time) const {
    const timespec limit{0, static_cast<long>(time.count())};
    return sigtimedwait(&set_, nullptr, &limit) > 0;
  }

 private:
  sigset_t set_{}, before_{};
};

// What is under way may end; a second signal, or the time, ends it.
void drain(const Words& words, const EndSignals& signals, server::HttpServer& http, server::Service& service) {
  server::log_line({{"event", "draining"}, {"open_requests", http.open_requests()}});
  service.drain();
  http.quiesce();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(words.drain_seconds);
  while (http.open_requests() > 0 && std::chrono::steady_clock::now() < end && !signals.again(kDrainLook)) {
  }
  service.stop();
  // The errors that ended them are on their way to the clients.
  for (int i = 0; i < 50 && http.open_requests() > 0; ++i) static_cast<void>(signals.again(kDrainLook));
  http.stop();
  server::log_line({{"event", "stopped"}});
}

Status run(Words words) {
  KL_ASSIGN(const auto handed, server::take_handed_socket());
  if (handed) {
    words.http.host = handed->host;
    words.http.port = handed->port;
    words.http.listener = handed->descriptor;
  }
  KL_ASSIGN(const server::AccessOptions access_words, access_options(words));
  KL_ASSIGN(server::Access access, server::Access::create(access_words));
  KL_ASSIGN(const server::HttpOptions http_words, http_options(words));
  KL_ASSIGN(const uint64_t limit, memory_limit(words.common));
  Ledger ledger(limit);
  const EndSignals signals;
  server::ModelShelf shelf;
  std::vector<std::pair<std::string, Status>> failures;
  KL_TRY(fill(shelf, words, ledger, failures));
  shelf.tell(server::log_line);
  server::Service service(shelf, std::move(access), ledger, words.service);
  KL_ASSIGN(
      const auto http,
      server::HttpServer::start(
          http_words,
          {.gate = [&](const server::HttpRequest& request) { return service.gate(request); },
           .decorate = [&](const server::HttpRequest& request) { return service.decorate(request); },
           .handle = [&](const std::shared_ptr<server::Exchange>& e) { service.handle(e); },
           .error =
               [](int status, std::string_view text) {
                 return server::HttpReply{status, "application/json", server::to_body({status, std::string(text)})};
               }}));
  server::log_line({{"event", "listening"},
                    {"url", fmt::format("{}://{}:{}", http_words.tls_certificate.empty() ? "http" : "https",
                                        words.http.host, http->port())},
                    {"model", shelf.list().front().name},
                    {"parallel", words.scheduler.parallel}});
  for (const auto& [model, why] : failures)
    server::log_line({{"event", "model_failed"}, {"model", model}, {"error", std::string(why.text())}});
  signals.wait();
  drain(words, signals, *http, service);
  return ok_status();
}

}  // namespace

Action setup_serve(Arguments arguments) {
  auto words = std::make_shared<Words>();
  words->model.names_adapters = true;
  arguments
      .option("MODEL", words->models,
              "names from `kinglet list`, GGUF files or Hugging Face directories; what --memory has no room for is "
              "loaded when asked for")
      .required();
  const auto add = [&](const char* flag, auto& value, const char* text) {
    return arguments.option(flag, value, text).show_default();
  };
  add("--host", words->http.host, "address to listen on; others than this machine can reach it only with API keys");
  add("--port", words->http.port, "port to listen on; 0: a free one, which the first line tells");
  arguments.option("--api-key-file", words->api_key_file,
                   "API keys, one a line: as they are, or sha256:HASH (also: KINGLET_API_KEY)");
  arguments.option("--allow-host", words->access.hosts, "another name that clients may call the server by").repeated();
  arguments
      .option("--allow-origin", words->access.origins, "web pages that may use the server, e.g. https://chat.example")
      .repeated();
  arguments.option("--tls-certificate", words->tls_certificate, "certificate chain for HTTPS, as PEM");
  arguments.option("--tls-key", words->tls_key, "its private key, as PEM");
  add("-p,--parallel", words->scheduler.parallel, "most answers under way at once").range(1, 256);
  add("--queue", words->scheduler.queue, "most requests that wait beyond those").range(1, 1 << 20);
  add("--chunk", words->scheduler.chunk, "most tokens of prompts beside answers under way").range(1, 1 << 20);
  add("--speculate", words->speculate,
      "guess tokens and check several at once, the same answers sooner, where few clients share the machine")
      .one_of({"ngram", "off"});
  add("--cache-memory", words->cache_memory, "keep ended conversations while keys and values take less than this");
  add("--grammar-memory", words->grammar_memory, "keep compiled schemas and tools while they take less than this");
  add("--max-body", words->max_body, "largest body of a request");
  add("--max-connections", words->http.max_connections, "most connections").range(1, 1 << 20);
  add("--idle-seconds", words->http.idle_seconds, "close a connection that is silent for so long");
  add("--watchdog-seconds", words->service.watchdog_seconds,
      "a model silent for so long while it has work is not healthy");
  add("--drain-seconds", words->drain_seconds, "time that answers under way get when the server is told to end");
  arguments.flag("!--no-web", words->service.web_page, "serve no web page at /");
  arguments.flag("--reference", words->model.reference, "compute with the reference kernels");
  add_template(arguments, words->template_file);
  add_common(arguments, words->common);
  add_cache(arguments, words->model);
  add_adapters(arguments, words->model);
  arguments.footer(
      "Open http://HOST:PORT in a browser for a page to chat with the model, or point any client of OpenAI's API at\n"
      "http://HOST:PORT/v1. Log lines, as JSON and without prompts, go to "
      "standard\n"
      "error. SIGTERM and Ctrl-C let answers under way end; a second one does not.\n\n"
      "Examples:\n"
      "  kinglet serve qwen2.5-coder-0.5b\n"
      "  kinglet serve llama-3.2-1b --adapter law=adapters/law --adapter tales=adapters/tales=0.5\n"
      "  kinglet serve qwen2.5-coder-0.5b gemma-3-270m llama-3.2-1b --memory 2G\n"
      "  kinglet serve model.gguf --host 0.0.0.0 --api-key-file keys.txt --parallel 16 --memory 6G");
  return [words] { return run(*words); };
}

}  // namespace kinglet::cli
