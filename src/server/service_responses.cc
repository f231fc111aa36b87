// The route of /v1/responses.
#include "server/chat_turn.h"
#include "server/replies.h"
#include "server/responses_request.h"
#include "server/responses_sink.h"
#include "server/service.h"

namespace kinglet::server {

void Service::responses(const std::shared_ptr<Exchange>& exchange) {
  auto body = parse_body(exchange->request().body);
  if (value_or_refuse(body, *exchange) == nullptr) return;
  auto parsed = parse_responses_request(std::get<Json>(body));
  ResponsesRequest* const request = value_or_refuse(parsed, *exchange);
  if (request == nullptr) return;
  auto found = find(request->chat.model);
  if (value_or_refuse(found, *exchange) == nullptr) return;
  const ChosenModel& chosen = std::get<ChosenModel>(found);
  ServedModel& model = *chosen.model;
  auto begun = begin_turn(model, request->chat);
  ChatTurn* const turn = value_or_refuse(begun, *exchange);
  if (turn == nullptr) return;
  Request work = work_of(*exchange, request->chat, chosen);
  work.prompt = std::move(turn->prompt);
  work.options = std::move(turn->options);
  ResponsesHead head{next_id("resp"), chosen.name, now_seconds(), request->chat.stream, std::move(request->echo)};
  const auto done = log_when_done(*exchange, chosen, head.id);
  submit(exchange, model, std::move(work),
         std::make_shared<ResponsesSink>(exchange, std::move(head), std::move(turn->parser), done));
}

}  // namespace kinglet::server
