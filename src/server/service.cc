#include "server/service.h"

#include <fmt/format.h>

#include <chrono>
#include <random>

#include "server/log.h"
#include "server/metrics.h"

namespace kinglet::server {
namespace {

int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

HttpReply json_reply(const Json& body, int status = 200) {
  return {status, "application/json", body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

HttpReply error_reply(const ApiError& error) {
  HttpReply reply{error.status, "application/json", to_body(error)};
  if (error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (error.status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

// The value, or its error as the answer.
template <typename T>
T* value_or_refuse(std::variant<T, ApiError>& result, Exchange& exchange) {
  if (auto* value = std::get_if<T>(&result)) return value;
  exchange.respond(error_reply(std::get<ApiError>(result)));
  return nullptr;
}

}  // namespace

Service::Service(std::vector<ServedModel> models, Access access, const Ledger& ledger, ServiceOptions options)
    : models_(std::move(models)),
      access_(std::move(access)),
      ledger_(ledger),
      options_(options),
      started_(now_seconds()),
      random_((uint64_t{std::random_device()()} << 32) | std::random_device()()) {}

std::shared_ptr<const grammar::TokenTrie> Service::text_tokens_of(ServedModel& model) {
  const std::lock_guard lock(text_tokens_mutex_);
  if (model.text_tokens == nullptr) model.text_tokens = text_tokens(*model.tokenizer);
  return model.text_tokens;
}

const std::map<std::string_view, Service::Entry>& Service::routes() {
  static const std::map<std::string_view, Entry> kRoutes = {
      {"/v1/chat/completions", {"POST", &Service::chat_completions}},
      {"/v1/completions", {"POST", &Service::completions}},
      {"/v1/models", {"GET", &Service::list_models}},
      {"/tokenize", {"POST", &Service::tokenize}},
      {"/detokenize", {"POST", &Service::detokenize}},
      {"/apply-template", {"POST", &Service::apply_template}},
      {"/health", {"GET", &Service::health}},
      {"/metrics", {"GET", &Service::metrics}},
  };
  return kRoutes;
}

std::optional<HttpReply> Service::gate(const HttpRequest& request) const {
  if (auto refusal = access_.refusal(request)) return error_reply(*refusal);
  if (request.method == "OPTIONS") return HttpReply{204, "text/plain", ""};
  const auto entry = routes().find(request.path);
  if (entry == routes().end()) return error_reply({404, "there is no such path here", "", "unknown_url"});
  const bool good =
      request.method == entry->second.method || (request.method == "HEAD" && entry->second.method == "GET");
  if (!good) {
    return error_reply({405, fmt::format("{} takes {}", request.path, entry->second.method), "", "method_not_allowed"});
  }
  return std::nullopt;
}

void Service::handle(const std::shared_ptr<Exchange>& exchange) {
  try {
    (this->*routes().find(exchange->request().path)->second.route)(exchange);
  } catch (const std::exception&) {  // the libraries below return their errors; this is memory, or a bug
    exchange->respond(error_reply({500, "the server could not finish this request", "", "internal_error"}));
  }
}

std::variant<ServedModel*, ApiError> Service::find(const std::string& name) {
  if (name.empty()) return &models_.front();
  for (ServedModel& model : models_) {
    if (model.name == name) return &model;
  }
  return ApiError{404, "no model of that name is served here; see /v1/models", "model", "model_not_found"};
}

std::string Service::next_id(std::string_view prefix) {
  return fmt::format("{}-{:016x}{:08x}", prefix, random_, ++requests_);
}

std::variant<std::vector<TokenId>, ApiError> Service::prompt_of(const ServedModel& model,
                                                                const CompletionRequest& request,
                                                                CompletionKind kind) const {
  if (kind == CompletionKind::text) {
    return request.prompt_ids.empty() ? plain_prompt(*model.tokenizer, request.prompt) : request.prompt_ids;
  }
  if (!model.chat) return ApiError{400, "this model has no chat template: use /v1/completions", "model"};
  auto prompt = model.chat->prompt(request.conversation);
  if (!prompt.ok()) return to_api_error(prompt.status());
  return *std::move(prompt);
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
  ServedModel& model = *std::get<ServedModel*>(found);
  auto tokens = prompt_of(model, *request, kind);
  if (value_or_refuse(tokens, *exchange) == nullptr) return;

  CompletionHead head{kind,
                      next_id(chat ? "chatcmpl" : "cmpl"),
                      model.name,
                      now_seconds(),
                      request->stream,
                      request->include_usage,
                      request->logprobs};
  const std::string client =
      access_.client(exchange->request()) + "|" + exchange->request().remote + "|" + request->user;
  Json entry = {{"event", "request"},
                {"id", head.id},
                {"path", exchange->request().path},
                {"model", model.name},
                {"client", exchange->request().remote},
                {"stream", request->stream},
                {"choices", request->choices}};
  ++running_;
  const auto done = [this, entry](int status, const RequestUsage& usage) mutable {
    entry.update({{"status", status},
                  {"prompt_tokens", usage.prompt_tokens},
                  {"cached_tokens", usage.cached_tokens},
                  {"answer_tokens", usage.answer_tokens},
                  {"first_token_seconds", usage.first_seconds},
                  {"seconds", usage.total_seconds}});
    log_line(entry);
    --running_;
  };
  auto sink = std::make_shared<CompletionSink>(exchange, std::move(head), *model.tokenizer, done);
  Request work;
  work.prompt = std::move(std::get<std::vector<TokenId>>(tokens));
  work.options = std::move(request->options);
  if (request->form) {
    work.options.constraint = std::make_shared<const Constraint>(
        Constraint{std::make_shared<const grammar::Grammar>(*std::move(request->form)), text_tokens_of(model)});
  }
  work.choices = request->choices;
  work.top_logprobs = request->top_logprobs;
  work.logprobs = request->logprobs;
  work.client = client;
  work.sink = sink;
  const auto ticket = model.scheduler->submit(std::move(work));
  if (!ticket.ok()) return sink->on_done(ticket.status(), {});
  exchange->on_gone([ticket = *ticket] { ticket->cancel(); });
}

void Service::list_models(const std::shared_ptr<Exchange>& exchange) {
  Json data = Json::array();
  for (const ServedModel& model : models_) {
    data.push_back({{"id", model.name},
                    {"object", "model"},
                    {"created", started_},
                    {"owned_by", "kinglet"},
                    {"context_length", model.runner->context()}});
  }
  exchange->respond(json_reply({{"object", "list"}, {"data", data}}));
}

void Service::tokenize(const std::shared_ptr<Exchange>& exchange) {
  auto body = parse_body(exchange->request().body);
  if (value_or_refuse(body, *exchange) == nullptr) return;
  RequestFields fields(std::get<Json>(body));
  auto found = find(fields.text("model"));
  const std::string text = fields.text("content", fields.text("prompt"));
  const bool add_special = fields.flag("add_special");
  const bool parse_special = fields.flag("parse_special");
  if (const auto wrong = fields.finish()) return exchange->respond(error_reply(*wrong));
  if (value_or_refuse(found, *exchange) == nullptr) return;
  const ServedModel& model = *std::get<ServedModel*>(found);
  const SpecialTokens special = parse_special ? SpecialTokens::parse : SpecialTokens::as_text;
  const auto ids = add_special ? plain_prompt(*model.tokenizer, text, special) : model.tokenizer->encode(text, special);
  exchange->respond(json_reply({{"tokens", ids}, {"count", ids.size()}, {"max_model_len", model.runner->context()}}));
}

void Service::detokenize(const std::shared_ptr<Exchange>& exchange) {
  auto body = parse_body(exchange->request().body);
  if (value_or_refuse(body, *exchange) == nullptr) return;
  RequestFields fields(std::get<Json>(body));
  auto found = find(fields.text("model"));
  const Json* tokens = fields.get("tokens");
  if (const auto wrong = fields.finish()) return exchange->respond(error_reply(*wrong));
  if (value_or_refuse(found, *exchange) == nullptr) return;
  const ServedModel& model = *std::get<ServedModel*>(found);
  std::vector<TokenId> ids;
  bool good = tokens != nullptr && tokens->is_array();
  for (const Json& id : good ? *tokens : Json::array()) {
    good =
        good && id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < model.tokenizer->vocab_size();
    if (good) ids.push_back(id.get<TokenId>());
  }
  if (!good)
    return exchange->respond(error_reply(bad_field("tokens", "tokens must be an array of the vocabulary's token ids")));
  const std::string text = model.tokenizer->decode(ids, SpecialTokens::parse);
  exchange->respond(json_reply({{"content", text}, {"prompt", text}}));
}

void Service::apply_template(const std::shared_ptr<Exchange>& exchange) {
  auto body = parse_body(exchange->request().body);
  if (value_or_refuse(body, *exchange) == nullptr) return;
  auto parsed = parse_chat_request(std::get<Json>(body));
  CompletionRequest* const request = value_or_refuse(parsed, *exchange);
  if (request == nullptr) return;
  auto found = find(request->model);
  if (value_or_refuse(found, *exchange) == nullptr) return;
  const ServedModel& model = *std::get<ServedModel*>(found);
  auto tokens = prompt_of(model, *request, CompletionKind::chat);
  if (value_or_refuse(tokens, *exchange) == nullptr) return;
  const auto& ids = std::get<std::vector<TokenId>>(tokens);
  exchange->respond(json_reply({{"prompt", model.tokenizer->decode(ids, SpecialTokens::parse)}, {"tokens", ids}}));
}

// Green only while the models answer: a model that has work and shows no sign of life is not well.
void Service::health(const std::shared_ptr<Exchange>& exchange) {
  double stalled = 0;
  for (const ServedModel& model : models_) stalled = std::max(stalled, model.scheduler->stalled_seconds());
  const bool well = stalled < options_.watchdog_seconds && !draining_;
  const std::string_view status = draining_ ? "draining" : well ? "ok" : "stalled";
  exchange->respond(json_reply({{"status", status}, {"stalled_seconds", stalled}}, well ? 200 : 503));
}

void Service::metrics(const std::shared_ptr<Exchange>& exchange) {
  std::vector<ModelMetrics> models;
  for (const ServedModel& model : models_) {
    models.push_back({model.name, model.scheduler->stats(), model.scheduler->stalled_seconds()});
  }
  exchange->respond({200, "text/plain; version=0.0.4", metrics_text(models, ledger_, running_)});
}

void Service::stop() {
  for (ServedModel& model : models_) model.scheduler->stop();
}

int64_t Service::answers() const { return running_; }

}  // namespace kinglet::server
