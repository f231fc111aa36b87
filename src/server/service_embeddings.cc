// The route of /v1/embeddings.
#include <fmt/format.h>

#include "server/embedding_request.h"
#include "server/replies.h"
#include "server/service.h"

namespace kinglet::server {

void Service::embed(const std::shared_ptr<Exchange>& exchange, const ChosenModel& chosen,
                    std::vector<std::vector<TokenId>> prompts, std::function<HttpReply(const Embeddings&)> reply,
                    std::function<HttpReply(const ApiError&)> refuse) {
  const auto done = log_when_done(*exchange, chosen, next_id("embd"));
  const std::string client = access_.client(exchange->request()) + "|" + exchange->request().remote;
  auto batch = std::make_shared<EmbeddingBatch>(
      *chosen.model->scheduler, EmbeddingWork{std::move(prompts), chosen.adapter, client},
      [exchange, done, reply = std::move(reply),
       refuse = std::move(refuse)](std::variant<Embeddings, ApiError> result) {
        const auto* embeddings = std::get_if<Embeddings>(&result);
        const HttpReply answer = embeddings != nullptr ? reply(*embeddings) : refuse(std::get<ApiError>(result));
        done(answer.status, embeddings != nullptr ? embeddings->usage : RequestUsage{});
        exchange->respond(answer);
      });
  batch->start();
  exchange->on_gone([weak = std::weak_ptr(batch)] {
    if (const auto going = weak.lock()) going->cancel();
  });
}

void Service::embeddings(const std::shared_ptr<Exchange>& exchange) {
  auto body = parse_body(exchange->request().body);
  if (value_or_refuse(body, *exchange) == nullptr) return;
  auto parsed = parse_embedding_request(std::get<Json>(body));
  EmbeddingRequest* const request = value_or_refuse(parsed, *exchange);
  if (request == nullptr) return;
  auto found = find(request->model);
  if (value_or_refuse(found, *exchange) == nullptr) return;
  const ChosenModel& chosen = std::get<ChosenModel>(found);
  const ServedModel& model = *chosen.model;
  const int64_t width = model.runner->model().hyper().C;
  if (request->dimensions != 0 && request->dimensions != width) {
    return exchange->respond(
        error_reply({400, fmt::format("dimensions: this model's vectors have {} values and cannot be cut", width),
                     "dimensions", "unsupported_parameter"}));
  }
  std::vector<std::vector<TokenId>> prompts;
  for (auto& input : request->inputs) {
    if (auto* ids = std::get_if<std::vector<TokenId>>(&input)) prompts.push_back(std::move(*ids));
    else prompts.push_back(embedding_prompt(*model.tokenizer, std::get<std::string>(input)));
  }
  embed(
      exchange, chosen, std::move(prompts),
      [name = chosen.name, base64 = request->base64](const Embeddings& e) {
        return json_reply(embeddings_json(e, name, base64));
      },
      error_reply);
}

}  // namespace kinglet::server
