// The routes: what each path answers, with which models.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <variant>
#include <string>
#include <vector>

#include "server/access.h"
#include "server/completion_sink.h"
#include "server/embedding_batch.h"
#include "server/http_server.h"
#include "server/ollama_request.h"
#include "server/model_shelf.h"
#include "server/work_thread.h"

namespace kinglet::server {

struct ServiceOptions {
  bool web_page = true;          ///< at /
  double watchdog_seconds = 20;  ///< without a sign of life of a model that has work: /health says so
};

int64_t now_seconds();  ///< since 1970

class Service {
 public:
  /// `models` and `ledger` must outlive it.
  Service(ModelShelf& models, Access access, const Ledger& ledger, ServiceOptions options);

  /// Answers one request. Any thread; nothing that a request says ends the server.
  void handle(const std::shared_ptr<Exchange>& exchange);
  std::optional<HttpReply> gate(const HttpRequest& request) const;
  std::vector<std::pair<std::string, std::string>> decorate(const HttpRequest& request) const {
    return access_.origin_headers(request);
  }

  /// From now on /health says that the server is going away.
  void drain() { draining_ = true; }
  /// Ends what is under way.
  void stop();
  int64_t answers() const;  ///< requests that a model has

 private:
  using Route = void (Service::*)(const std::shared_ptr<Exchange>&);
  struct Entry {
    std::string_view method;
    Route route;
  };
  static const std::map<std::string_view, Entry>& routes();
  static const Entry* route_of(const std::string& path);  ///< null: there is none
  static constexpr std::string_view kModelPath = "/v1/models/";

  void chat_completions(const std::shared_ptr<Exchange>& exchange) { complete(exchange, CompletionKind::chat); }
  void completions(const std::shared_ptr<Exchange>& exchange) { complete(exchange, CompletionKind::text); }
  void complete(const std::shared_ptr<Exchange>& exchange, CompletionKind kind);
  void responses(const std::shared_ptr<Exchange>& exchange);
  void embeddings(const std::shared_ptr<Exchange>& exchange);
  Json model_entry(const ModelShelf::Listed& model) const;
  void show_model(const std::shared_ptr<Exchange>& exchange);
  void list_models(const std::shared_ptr<Exchange>& exchange);
  void tokenize(const std::shared_ptr<Exchange>& exchange);
  void detokenize(const std::shared_ptr<Exchange>& exchange);
  void apply_template(const std::shared_ptr<Exchange>& exchange);
  void ollama_chat(const std::shared_ptr<Exchange>& exchange) { ollama(exchange, OllamaKind::chat); }
  void ollama_generate(const std::shared_ptr<Exchange>& exchange) { ollama(exchange, OllamaKind::generate); }
  void ollama(const std::shared_ptr<Exchange>& exchange, OllamaKind kind);
  void ollama_tags(const std::shared_ptr<Exchange>& exchange);
  void ollama_ps(const std::shared_ptr<Exchange>& exchange);
  void ollama_show(const std::shared_ptr<Exchange>& exchange);
  void ollama_embed(const std::shared_ptr<Exchange>& exchange);
  void ollama_version(const std::shared_ptr<Exchange>& exchange);
  void health(const std::shared_ptr<Exchange>& exchange);
  void metrics(const std::shared_ptr<Exchange>& exchange);

  std::variant<ChosenModel, ApiError> find(const std::string& name) { return models_.take(name); }
  bool would_load(const HttpRequest& request) const;
  void route(const std::shared_ptr<Exchange>& exchange);
  std::string next_id(std::string_view prefix);
  /// What of a request the scheduler takes, but for its prompt.
  Request work_of(const Exchange& exchange, const CompletionRequest& request, const ChosenModel& chosen) const;
  /// Counts the request as running until it is called.
  RequestDone log_when_done(const Exchange& exchange, const ChosenModel& chosen, const std::string& id);
  /// Answers with what `reply` or `refuse` make of the prompts' embeddings.
  void embed(const std::shared_ptr<Exchange>& exchange, const ChosenModel& chosen,
             std::vector<std::vector<TokenId>> prompts, std::function<HttpReply(const Embeddings&)> reply,
             std::function<HttpReply(const ApiError&)> refuse);
  /// `sink` is told of everything from here on.
  void submit(const std::shared_ptr<Exchange>& exchange, ServedModel& model, Request work,
              std::shared_ptr<AnswerSink> sink);

  ModelShelf& models_;
  const Access access_;
  const Ledger& ledger_;
  const ServiceOptions options_;
  const int64_t started_;
  const uint64_t random_;  ///< ids of two servers differ
  std::atomic<uint64_t> requests_{0};
  std::atomic<int64_t> running_{0};
  std::atomic<bool> draining_{false};
  WorkThread loader_;  ///< of requests whose model has to be loaded first: others do not wait for it
};

}  // namespace kinglet::server
