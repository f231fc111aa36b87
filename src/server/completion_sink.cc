#include "server/completion_sink.h"

namespace kinglet::server {
namespace {

std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string_view reason_of(Finish finish) {
  return finish == Finish::length || finish == Finish::context ? "length" : "stop";
}

Json bytes_of(const std::string& piece) {
  Json bytes = Json::array();
  for (const char c : piece) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

Json one_logprob(const Tokenizer& tokenizer, TokenId id, double log_probability) {
  const std::string piece = tokenizer.piece(id);
  return {{"token", piece}, {"logprob", log_probability}, {"bytes", bytes_of(piece)}};
}

}  // namespace

Json usage_json(const RequestUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.answer_tokens},
          {"total_tokens", usage.prompt_tokens + usage.answer_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

Json CompletionSink::token_logprobs(const AnswerToken& token) const {
  Json out = one_logprob(*tokenizer_, token.id, token.log_probability);
  Json& top = out["top_logprobs"] = Json::array();
  for (const TokenScore& score : token.most_probable) {
    top.push_back(one_logprob(*tokenizer_, score.id, score.log_probability));
  }
  return out;
}

// A chat has a list of objects, a completion lists side by side.
Json CompletionSink::logprobs_of(const Json& tokens, int64_t offset) const {
  if (!head_.logprobs) return {};
  if (head_.kind == CompletionKind::chat) return {{"content", tokens}, {"refusal", nullptr}};
  Json out = {{"tokens", Json::array()},
              {"token_logprobs", Json::array()},
              {"top_logprobs", Json::array()},
              {"text_offset", Json::array()}};
  for (const Json& token : tokens) {
    const auto& text = token["token"].get_ref<const std::string&>();
    out["tokens"].push_back(text);
    out["token_logprobs"].push_back(token["logprob"]);
    Json top = Json::object();
    for (const Json& other : token["top_logprobs"]) top[other["token"].get<std::string>()] = other["logprob"];
    out["top_logprobs"].push_back(std::move(top));
    out["text_offset"].push_back(offset);
    offset += static_cast<int64_t>(text.size());
  }
  return out;
}

void CompletionSink::on_token(int32_t choice, AnswerToken token) {
  Answer& answer = answers_[choice];
  Json logprobs = Json::array();
  if (head_.logprobs) logprobs.push_back(token_logprobs(token));
  if (!head_.stream) {
    answer.text += token.text;
    for (Json& l : logprobs) answer.logprobs.push_back(std::move(l));
    return;
  }
  begin_stream();
  if (!token.text.empty() || head_.logprobs) send_chunk(choice, token.text, logprobs, "");
}

void CompletionSink::on_finish(int32_t choice, Finish finish, std::string rest, std::string_view) {
  Answer& answer = answers_[choice];
  answer.text += rest;
  answer.finish_reason = reason_of(finish);
  if (!head_.stream || finish == Finish::cancelled) return;
  begin_stream();
  if (!rest.empty()) send_chunk(choice, rest, Json::array(), "");
  send_chunk(choice, "", Json::array(), answer.finish_reason);
}

void CompletionSink::on_done(const Status& status, const RequestUsage& usage) {
  constexpr int kClientGone = 499;  // nginx's number, for the log: nobody reads the answer
  const int failure = exchange_->write("") ? to_api_error(status).status : kClientGone;
  const int code = status.ok() ? 200 : failure;
  if (streaming_) {
    if (!status.ok()) {
      exchange_->write("data: " + to_body(to_api_error(status)) + "\n\n");
    } else if (head_.include_usage) {
      Json event = envelope(head_.kind == CompletionKind::chat ? "chat.completion.chunk" : "text_completion");
      event["choices"] = Json::array();
      event["usage"] = usage_json(usage);
      send(event);
    }
    exchange_->write("data: [DONE]\n\n");
    exchange_->end();
  } else if (!status.ok()) {
    const ApiError error = to_api_error(status);
    exchange_->respond({error.status, "application/json", to_body(error)});
  } else {
    Json body = envelope(head_.kind == CompletionKind::chat ? "chat.completion" : "text_completion");
    body["choices"] = Json::array();
    for (const auto& [index, answer] : answers_) body["choices"].push_back(choice_json(index, answer));
    body["usage"] = usage_json(usage);
    exchange_->respond({200, "application/json", to_text(body)});
  }
  if (done_) done_(code, usage);
}

Json CompletionSink::envelope(std::string_view object) const {
  return {{"id", head_.id}, {"object", object}, {"created", head_.created}, {"model", head_.model}};
}

Json CompletionSink::choice_json(int32_t index, const Answer& answer) const {
  Json out = {{"index", index}};
  if (head_.kind == CompletionKind::chat) {
    out["message"] = {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
  } else {
    out["text"] = answer.text;
  }
  out["logprobs"] = logprobs_of(answer.logprobs, 0);
  out["finish_reason"] = answer.finish_reason;
  return out;
}

void CompletionSink::send_chunk(int32_t index, std::string_view text, const Json& logprobs,
                                std::string_view finish_reason) {
  Answer& answer = answers_[index];
  const bool chat = head_.kind == CompletionKind::chat;
  Json choice = {{"index", index}};
  if (chat) {
    Json& delta = choice["delta"] = Json::object();
    if (!std::exchange(answer.begun, true)) delta["role"] = "assistant";
    if (finish_reason.empty()) delta["content"] = text;
  } else {
    choice["text"] = text;
  }
  choice["logprobs"] = logprobs.empty() ? Json() : logprobs_of(logprobs, answer.offset);
  for (const Json& token : logprobs) answer.offset += static_cast<int64_t>(token["bytes"].size());
  choice["finish_reason"] = finish_reason.empty() ? Json() : Json(finish_reason);
  Json event = envelope(chat ? "chat.completion.chunk" : "text_completion");
  event["choices"] = Json::array({std::move(choice)});
  if (head_.include_usage) event["usage"] = nullptr;
  send(event);
}

void CompletionSink::send(const Json& event) { exchange_->write("data: " + to_text(event) + "\n\n"); }

void CompletionSink::begin_stream() {
  if (std::exchange(streaming_, true)) return;
  exchange_->begin({200, "text/event-stream", "", {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}});
}

}  // namespace kinglet::server
