// The routes: what each path answers, with which models.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <variant>
#include <string>
#include <vector>

#include "tokenizer/chat_format.h"
#include "engine/scheduler.h"
#include "server/access.h"
#include "server/completion_sink.h"
#include "server/http_server.h"

namespace kinglet::server {

/// A model that is ready to answer; model and tokenizer must outlive it.
struct ServedModel {
  std::string name;
  std::unique_ptr<Runner> runner;
  const Tokenizer* tokenizer = nullptr;
  std::optional<ChatFormat> chat;  ///< absent: the model has no template
  std::unique_ptr<Scheduler> scheduler;
  std::shared_ptr<const grammar::TokenTrie> text_tokens = nullptr;  ///< for constrained answers; made for the first
};

struct ServiceOptions {
  double watchdog_seconds = 20;  ///< without a sign of life of a model that has work: /health says so
};

class Service {
 public:
  Service(std::vector<ServedModel> models, Access access, const Ledger& ledger, ServiceOptions options);

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

  void chat_completions(const std::shared_ptr<Exchange>& exchange) { complete(exchange, CompletionKind::chat); }
  void completions(const std::shared_ptr<Exchange>& exchange) { complete(exchange, CompletionKind::text); }
  void complete(const std::shared_ptr<Exchange>& exchange, CompletionKind kind);
  void list_models(const std::shared_ptr<Exchange>& exchange);
  void tokenize(const std::shared_ptr<Exchange>& exchange);
  void detokenize(const std::shared_ptr<Exchange>& exchange);
  void apply_template(const std::shared_ptr<Exchange>& exchange);
  void health(const std::shared_ptr<Exchange>& exchange);
  void metrics(const std::shared_ptr<Exchange>& exchange);

  std::variant<ServedModel*, ApiError> find(const std::string& name);
  std::variant<std::vector<TokenId>, ApiError> prompt_of(const ServedModel& model, const CompletionRequest& request,
                                                         CompletionKind kind) const;
  std::shared_ptr<const grammar::TokenTrie> text_tokens_of(ServedModel& model);
  std::string next_id(std::string_view prefix);

  std::vector<ServedModel> models_;
  std::mutex text_tokens_mutex_;
  const Access access_;
  const Ledger& ledger_;
  const ServiceOptions options_;
  const int64_t started_;
  const uint64_t random_;  ///< ids of two servers differ
  std::atomic<uint64_t> requests_{0};
  std::atomic<int64_t> running_{0};
  std::atomic<bool> draining_{false};
};

}  // namespace kinglet::server
