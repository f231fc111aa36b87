// The routes that Ollama's clients call.
#include <fmt/format.h>

#include "base/version.h"
#include "server/chat_turn.h"
#include "server/embedding_request.h"
#include "server/ollama_sink.h"
#include "server/replies.h"
#include "server/service.h"

namespace kinglet::server {
namespace {

// A version of Ollama's interface that has all that is answered here: clients ask before they use a feature.
constexpr char kOllamaVersion[] = "0.12.0";

template <typename T>
T* value_or_ollama_error(std::variant<T, ApiError>& result, Exchange& exchange) {
  if (auto* value = std::get_if<T>(&result)) return value;
  exchange.respond(ollama_error(std::get<ApiError>(result)));
  return nullptr;
}

std::string short_count(int64_t count) {
  return count >= 1'000'000'000 ? fmt::format("{:.1f}B", static_cast<double>(count) / 1e9)
                                : fmt::format("{:.0f}M", static_cast<double>(count) / 1e6);
}

Json details_of(const ModelFacts& facts) {
  return {{"parent_model", ""},
          {"format", facts.gguf ? "gguf" : "safetensors"},
          {"family", facts.family},
          {"families", Json::array({facts.family})},
          {"parameter_size", short_count(facts.parameters)},
          {"quantization_level", ""}};
}

Json entry_of(const ModelShelf::Listed& model) {
  return {{"name", model.name},
          {"model", model.name},
          {"modified_at", timestamp()},
          {"size", model.facts.weight_bytes},
          {"digest", ""},
          {"details", details_of(model.facts)}};
}

}  // namespace

void Service::ollama(const std::shared_ptr<Exchange>& exchange, OllamaKind kind) {
  auto body = parse_body(exchange->request().body);
  if (value_or_ollama_error(body, *exchange) == nullptr) return;
  auto parsed = parse_ollama_request(std::get<Json>(body), kind);
  OllamaRequest* const request = value_or_ollama_error(parsed, *exchange);
  if (request == nullptr) return;
  auto found = find(without_tag(request->chat.model));
  if (value_or_ollama_error(found, *exchange) == nullptr) return;
  const ChosenModel& chosen = std::get<ChosenModel>(found);
  ServedModel& model = *chosen.model;
  OllamaHead head{kind, request->chat.model.empty() ? chosen.name : request->chat.model, request->stream};
  if (request->empty) {  // asks whether the model is there
    Json reply = {{"model", head.model}, {"created_at", timestamp()}, {"done", true}, {"done_reason", "load"}};
    if (kind == OllamaKind::chat) reply["message"] = {{"role", "assistant"}, {"content", ""}};
    else reply["response"] = "";
    return exchange->respond(json_reply(reply));
  }
  Request work = work_of(*exchange, request->chat, chosen);
  std::optional<AnswerParser> parser;
  if (request->raw || (kind == OllamaKind::generate && !model.chat)) {
    work.prompt = plain_prompt(*model.tokenizer, request->chat.prompt, SpecialTokens::parse);
    auto held = held_to_form(model, request->chat);
    Held* const form = value_or_ollama_error(held, *exchange);
    if (form == nullptr) return;
    hold(model, std::move(*form), static_cast<int64_t>(work.prompt.size()), work.options);
  } else {
    auto begun = begin_turn(model, request->chat);
    ChatTurn* const turn = value_or_ollama_error(begun, *exchange);
    if (turn == nullptr) return;
    work.prompt = std::move(turn->prompt);
    work.options = std::move(turn->options);
    parser = std::move(turn->parser);
  }
  const auto done = log_when_done(*exchange, chosen, next_id("ollama"));
  submit(exchange, model, std::move(work),
         std::make_shared<OllamaSink>(exchange, std::move(head), std::move(parser), done));
}

void Service::ollama_tags(const std::shared_ptr<Exchange>& exchange) {
  Json models = Json::array();
  for (const ModelShelf::Listed& model : models_.list()) models.push_back(entry_of(model));
  exchange->respond(json_reply({{"models", std::move(models)}}));
}

void Service::ollama_ps(const std::shared_ptr<Exchange>& exchange) {
  Json models = Json::array();
  for (const ModelShelf::Listed& model : models_.list())
    if (model.loaded) models.push_back(entry_of(model));
  exchange->respond(json_reply({{"models", std::move(models)}}));
}

void Service::ollama_show(const std::shared_ptr<Exchange>& exchange) {
  auto body = parse_body(exchange->request().body);
  if (value_or_ollama_error(body, *exchange) == nullptr) return;
  RequestFields fields(std::get<Json>(body));
  const std::string name = fields.text("model", fields.text("name"));
  fields.accept({"verbose"});
  if (const auto wrong = fields.finish()) return exchange->respond(ollama_error(*wrong));
  auto found = models_.look_up(without_tag(name));
  if (value_or_ollama_error(found, *exchange) == nullptr) return;
  const ModelFacts& facts = std::get<ModelShelf::Listed>(found).facts;
  Json capabilities = {"completion"};
  if (facts.chat_template) capabilities.push_back("tools");
  exchange->respond(json_reply({{"modelfile", ""},
                                {"parameters", ""},
                                {"template", facts.chat_template.value_or("")},
                                {"details", details_of(facts)},
                                {"model_info",
                                 {{"general.architecture", facts.family},
                                  {"general.parameter_count", facts.parameters},
                                  {facts.family + ".context_length", facts.context},
                                  {facts.family + ".embedding_length", facts.width},
                                  {facts.family + ".block_count", facts.layers}}},
                                {"capabilities", std::move(capabilities)}}));
}

void Service::ollama_embed(const std::shared_ptr<Exchange>& exchange) {
  auto body = parse_body(exchange->request().body);
  if (value_or_ollama_error(body, *exchange) == nullptr) return;
  Json here = std::get<Json>(body);
  // The older call has one text, called prompt, and one vector.
  const bool older = exchange->request().path == "/api/embeddings";
  if (older && here.contains("prompt")) here["input"] = here["prompt"];
  const Json truncate = here.value("truncate", Json(false));
  for (const char* name : {"prompt", "truncate", "keep_alive", "options"}) here.erase(name);
  auto parsed = parse_embedding_request(here);
  EmbeddingRequest* const request = value_or_ollama_error(parsed, *exchange);
  if (request == nullptr) return;
  auto found = find(without_tag(request->model));
  if (value_or_ollama_error(found, *exchange) == nullptr) return;
  const ChosenModel& chosen = std::get<ChosenModel>(found);
  const ServedModel& model = *chosen.model;
  if (request->dimensions != 0 && request->dimensions != model.runner->model().hyper().C) {
    return exchange->respond(ollama_error(bad_field("dimensions", "dimensions: this model's vectors cannot be cut")));
  }
  std::vector<std::vector<TokenId>> prompts;
  for (auto& input : request->inputs) {
    auto* ids = std::get_if<std::vector<TokenId>>(&input);
    prompts.push_back(ids != nullptr ? std::move(*ids)
                                     : embedding_prompt(*model.tokenizer, std::get<std::string>(input)));
    const auto most = static_cast<size_t>(model.runner->context());
    if (truncate == true && prompts.back().size() > most) prompts.back().resize(most);
  }
  const auto reply = [name = request->model, older](const Embeddings& e) {
    if (older) return json_reply({{"embedding", e.vectors.front()}});
    return json_reply({{"model", name},
                       {"embeddings", e.vectors},
                       {"total_duration", static_cast<int64_t>(e.usage.total_seconds * 1e9)},
                       {"load_duration", 0},
                       {"prompt_eval_count", e.usage.prompt_tokens}});
  };
  embed(exchange, chosen, std::move(prompts), reply, ollama_error);
}

void Service::ollama_version(const std::shared_ptr<Exchange>& exchange) {
  exchange->respond(json_reply({{"version", kOllamaVersion}, {"kinglet", kVersion}}));
}

}  // namespace kinglet::server
