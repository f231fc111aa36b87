// The routes that tell of models, tokens and templates.
#include "server/chat_turn.h"
#include "server/replies.h"
#include "server/service.h"

namespace kinglet::server {

Json Service::model_entry(const ModelShelf::Listed& model) const {
  Json entry = {{"id", model.name},
                {"object", "model"},
                {"created", started_},
                {"owned_by", "kinglet"},
                {"loaded", model.loaded}};
  if (model.facts.context > 0) entry["context_length"] = model.facts.context;
  if (!model.parent.empty()) entry["parent"] = model.parent;
  return entry;
}

void Service::list_models(const std::shared_ptr<Exchange>& exchange) {
  Json data = Json::array();
  for (const ModelShelf::Listed& model : models_.list()) data.push_back(model_entry(model));
  exchange->respond(json_reply({{"object", "list"}, {"data", data}}));
}

void Service::show_model(const std::shared_ptr<Exchange>& exchange) {
  auto found = models_.look_up(exchange->request().path.substr(kModelPath.size()));
  const ModelShelf::Listed* const model = value_or_refuse(found, *exchange);
  if (model != nullptr) exchange->respond(json_reply(model_entry(*model)));
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
  const ServedModel& model = *std::get<ChosenModel>(found).model;
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
  const ServedModel& model = *std::get<ChosenModel>(found).model;
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
  const ServedModel& model = *std::get<ChosenModel>(found).model;
  auto turn = begin_turn(model, *request);
  if (value_or_refuse(turn, *exchange) == nullptr) return;
  const auto& ids = std::get<ChatTurn>(turn).prompt;
  exchange->respond(json_reply({{"prompt", model.tokenizer->decode(ids, SpecialTokens::parse)}, {"tokens", ids}}));
}

}  // namespace kinglet::server
