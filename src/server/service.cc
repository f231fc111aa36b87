#include "server/service.h"

#include <fmt/format.h>

#include <chrono>
#include <random>

#include "server/chat_turn.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/replies.h"
#include "server/web_page.h"

namespace kinglet::server {

Service::Service(ModelShelf& models, Access access, const Ledger& ledger, ServiceOptions options)
    : models_(models),
      access_(std::move(access)),
      ledger_(ledger),
      options_(options),
      started_(now_seconds()),
      random_((uint64_t{std::random_device()()} << 32) | std::random_device()()) {}

const std::map<std::string_view, Service::Entry>& Service::routes() {
  static const std::map<std::string_view, Entry> kRoutes = {
      {"/v1/chat/completions", {"POST", &Service::chat_completions}},
      {"/v1/completions", {"POST", &Service::completions}},
      {"/v1/responses", {"POST", &Service::responses}},
      {"/v1/embeddings", {"POST", &Service::embeddings}},
      {"/v1/models", {"GET", &Service::list_models}},
      {"/api/chat", {"POST", &Service::ollama_chat}},
      {"/api/generate", {"POST", &Service::ollama_generate}},
      {"/api/tags", {"GET", &Service::ollama_tags}},
      {"/api/ps", {"GET", &Service::ollama_ps}},
      {"/api/show", {"POST", &Service::ollama_show}},
      {"/api/embed", {"POST", &Service::ollama_embed}},
      {"/api/embeddings", {"POST", &Service::ollama_embed}},
      {"/api/version", {"GET", &Service::ollama_version}},
      {"/tokenize", {"POST", &Service::tokenize}},
      {"/detokenize", {"POST", &Service::detokenize}},
      {"/apply-template", {"POST", &Service::apply_template}},
      {"/health", {"GET", &Service::health}},
      {"/metrics", {"GET", &Service::metrics}},
  };
  return kRoutes;
}

const Service::Entry* Service::route_of(const std::string& path) {
  static constexpr Entry kModel{"GET", &Service::show_model};
  if (path.starts_with(kModelPath) && path.size() > kModelPath.size()) return &kModel;
  const auto found = routes().find(path);
  return found == routes().end() ? nullptr : &found->second;
}

std::optional<HttpReply> Service::gate(const HttpRequest& request) const {
  if (auto refusal = access_.refusal_of_origin(request)) return error_reply(*refusal);
  if (options_.web_page) {
    if (auto file = web_page_reply(request)) return file;  // it asks for the key itself
  }
  if (auto refusal = access_.refusal(request)) return error_reply(*refusal);
  if (request.method == "OPTIONS") return HttpReply{204, "text/plain", ""};
  const Entry* const entry = route_of(request.path);
  if (entry == nullptr) return error_reply({404, "there is no such path here", "", "unknown_url"});
  const bool good = request.method == entry->method || (request.method == "HEAD" && entry->method == "GET");
  if (!good) {
    return error_reply({405, fmt::format("{} takes {}", request.path, entry->method), "", "method_not_allowed"});
  }
  return std::nullopt;
}

void Service::handle(const std::shared_ptr<Exchange>& exchange) {
  if (!would_load(exchange->request())) return route(exchange);
  if (!loader_.post([this, exchange] { route(exchange); }))
    exchange->respond(error_reply(to_api_error(Status(Code::cancelled, ""))));
}

// Only where some model is out of memory is the body looked at twice.
bool Service::would_load(const HttpRequest& request) const {
  if (request.method != "POST" || models_.all_loaded()) return false;
  const auto body = parse_body(request.body);
  const Json* object = std::get_if<Json>(&body);
  if (object == nullptr) return false;
  const Json name = object->value("model", object->value("name", Json("")));
  return name.is_string() && models_.would_load(without_tag(name.get<std::string>()));
}

void Service::route(const std::shared_ptr<Exchange>& exchange) {
  try {
    (this->*route_of(exchange->request().path)->route)(exchange);
  } catch (const std::exception&) {  // the libraries below return their errors; this is memory, or a bug
    exchange->respond(error_reply({500, "the server could not finish this request", "", "internal_error"}));
  }
}

std::string Service::next_id(std::string_view prefix) {
  const char mark = prefix == "resp" ? '_' : '-';  // as OpenAI's
  return fmt::format("{}{}{:016x}{:08x}", prefix, mark, random_, ++requests_);
}

void Service::complete(const std::shared_ptr<Exchange>& exchange, CompletionKind kind) {
  auto body = parse_body(exchange->request().body);
  if (value_or_refuse(body, *exchange) == nullptr) return;
  const bool chat = kind == CompletionKind::chat;
  auto parsed = chat ? parse_chat_request(std::get<Json>(body)) : parse_completion_request(std::get<Json>(body));
  CompletionRequest* const request = value_or_refuse(parsed, *exchange);
  if (request == nullptr) return;
  auto found = find(request->model);
  if (value_or_refuse(found, *exchange) == nullptr) return;
  const ChosenModel& chosen = std::get<ChosenModel>(found);
  ServedModel& model = *chosen.model;
  CompletionHead head{kind,
                      next_id(chat ? "chatcmpl" : "cmpl"),
                      chosen.name,
                      now_seconds(),
                      request->stream,
                      request->include_usage,
                      request->logprobs};
  Request work = work_of(*exchange, *request, chosen);
  if (chat) {
    auto begun = begin_turn(model, *request);
    ChatTurn* const turn = value_or_refuse(begun, *exchange);
    if (turn == nullptr) return;
    work.prompt = std::move(turn->prompt);
    work.options = std::move(turn->options);
    head.parser = std::move(turn->parser);
  } else {
    work.prompt = request->prompt_ids.empty() ? plain_prompt(*model.tokenizer, request->prompt) : request->prompt_ids;
  }
  const auto done = log_when_done(*exchange, chosen, head.id);
  submit(exchange, model, std::move(work),
         std::make_shared<CompletionSink>(exchange, std::move(head), *model.tokenizer, done));
}

Request Service::work_of(const Exchange& exchange, const CompletionRequest& request, const ChosenModel& chosen) const {
  Request work;
  work.options = request.options;
  work.choices = request.choices;
  work.top_logprobs = request.top_logprobs;
  work.logprobs = request.logprobs;
  work.adapter = chosen.adapter;
  work.client = access_.client(exchange.request()) + "|" + exchange.request().remote + "|" + request.user;
  return work;
}

RequestDone Service::log_when_done(const Exchange& exchange, const ChosenModel& chosen, const std::string& id) {
  Json entry = {{"event", "request"},
                {"id", id},
                {"path", exchange.request().path},
                {"model", chosen.name},
                {"client", exchange.request().remote}};
  ++running_;
  return [this, entry, held = chosen.model](int status, const RequestUsage& usage) mutable {
    entry.update({{"status", status},
                  {"prompt_tokens", usage.prompt_tokens},
                  {"cached_tokens", usage.cached_tokens},
                  {"answer_tokens", usage.answer_tokens},
                  {"guessed_tokens", usage.guessed_tokens},
                  {"accepted_tokens", usage.accepted_tokens},
                  {"first_token_seconds", usage.first_seconds},
                  {"seconds", usage.total_seconds}});
    log_line(entry);
    --running_;
    held = nullptr;
  };
}

void Service::submit(const std::shared_ptr<Exchange>& exchange, ServedModel& model, Request work,
                     std::shared_ptr<AnswerSink> sink) {
  work.sink = sink;
  work.options.drafter = model.drafter;
  const auto ticket = model.scheduler->submit(std::move(work));
  if (!ticket.ok()) return sink->on_done(ticket.status(), {});
  exchange->on_gone([ticket = *ticket] { ticket->cancel(); });
}

// Green only while the models answer: a model that has work and shows no sign of life is not well.
void Service::health(const std::shared_ptr<Exchange>& exchange) {
  double stalled = 0;
  models_.visit([&](ServedModel& model) { stalled = std::max(stalled, model.scheduler->stalled_seconds()); });
  const bool well = stalled < options_.watchdog_seconds && !draining_;
  const std::string_view status = draining_ ? "draining" : well ? "ok" : "stalled";
  exchange->respond(json_reply({{"status", status}, {"stalled_seconds", stalled}}, well ? 200 : 503));
}

void Service::metrics(const std::shared_ptr<Exchange>& exchange) {
  ServerMetrics all;
  models_.visit([&](ServedModel& model) {
    all.models.push_back(
        {model.name, model.scheduler->stats(), model.scheduler->stalled_seconds(), model.grammars->stats()});
  });
  for (const ModelShelf::Listed& model : models_.list())
    if (model.parent.empty()) all.loaded.emplace_back(model.name, model.loaded);
  all.shelf = models_.counts();
  all.open_requests = running_;
  exchange->respond({200, "text/plain; version=0.0.4", metrics_text(all, ledger_)});
}

void Service::stop() {
  loader_.stop();
  models_.stop();
}

int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

int64_t Service::answers() const { return running_; }

}  // namespace kinglet::server
