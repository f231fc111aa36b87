#include "server/completion_sink.h"

#include <utility>

#include "formats/json.h"
#include "server/replies.h"

namespace kinglet::server {
namespace {

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

Json usage_json(const RequestUsage& usage, int64_t reasoning_tokens) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.answer_tokens},
          {"total_tokens", usage.prompt_tokens + usage.answer_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", reasoning_tokens}}}};
}

}  // namespace

int status_for_log(Exchange& exchange, const Status& status) {
  constexpr int kClientGone = 499;  // nginx's number: nobody reads the answer
  if (status.ok()) return 200;
  return exchange.write("") ? to_api_error(status).status : kClientGone;
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

CompletionSink::Answer& CompletionSink::answer_of(int32_t choice) {
  const auto [at, added] = answers_.try_emplace(choice);
  if (added) at->second.parser = head_.parser;
  return at->second;
}

void CompletionSink::on_token(int32_t choice, AnswerToken token) {
  Answer& answer = answer_of(choice);
  Json logprobs = Json::array();
  if (head_.logprobs) logprobs.push_back(token_logprobs(token));
  if (answer.parser) {
    auto parts = answer.parser->push(token.text);
    if (answer.parser->thinking()) ++reasoning_tokens_;
    return add(choice, std::move(parts), std::move(logprobs));
  }
  add(choice, {{AnswerPart::Kind::content, std::move(token.text)}}, std::move(logprobs));
}

void CompletionSink::on_finish(int32_t choice, Finish finish, std::string rest, std::string_view) {
  Answer& answer = answer_of(choice);
  answer.finish_reason = reason_of(finish);
  std::vector<AnswerPart> parts;
  if (answer.parser) {
    parts = answer.parser->push(rest);
    for (AnswerPart& part : answer.parser->finish()) parts.push_back(std::move(part));
  } else {
    parts.push_back({AnswerPart::Kind::content, std::move(rest)});
  }
  if (finish == Finish::cancelled) return;
  add(choice, std::move(parts), Json::array());
  if (!answer.calls.empty() && answer.finish_reason == "stop") answer.finish_reason = "tool_calls";
  if (!head_.stream) return;
  begin_stream();
  send_chunk(choice, Json::object(), Json::array(), answer.finish_reason);
}

// Keeps what was said, or sends it: the first piece carries the logprobs, which may be of more text than is certain by now.
void CompletionSink::add(int32_t choice, std::vector<AnswerPart> parts, Json logprobs) {
  Answer& answer = answer_of(choice);
  if (head_.stream) begin_stream();
  for (const AnswerPart& part : parts) {
    Json said = add_part(answer, part);
    if (head_.stream && !part.text.empty())
      send_chunk(choice, std::move(said), std::exchange(logprobs, Json::array()), "");
  }
  if (head_.stream) {
    if (!logprobs.empty()) send_chunk(choice, Json{{"content", ""}}, logprobs, "");
  } else {
    for (Json& l : logprobs) answer.logprobs.push_back(std::move(l));
  }
}

// What a stream's delta says of it.
Json CompletionSink::add_part(Answer& answer, const AnswerPart& part) const {
  switch (part.kind) {
    case AnswerPart::Kind::content:
      if (!head_.stream) answer.text += part.text;
      return {{"content", part.text}};
    case AnswerPart::Kind::reasoning:
      if (!head_.stream) answer.reasoning += part.text;
      return {{"reasoning_content", part.text}};
    case AnswerPart::Kind::call: {
      Json call = {{"id", new_call_id(answer.parser->family())},
                   {"type", "function"},
                   {"function", {{"name", part.text}, {"arguments", ""}}}};
      Json delta = {{"index", answer.calls.size()}};
      delta.update(call);
      answer.calls.push_back(std::move(call));
      return {{"tool_calls", Json::array({std::move(delta)})}};
    }
    case AnswerPart::Kind::arguments:
      break;
  }
  if (!head_.stream) answer.calls.back()["function"]["arguments"].get_ref<std::string&>() += part.text;
  return {
      {"tool_calls", Json::array({{{"index", answer.calls.size() - 1}, {"function", {{"arguments", part.text}}}}})}};
}

void CompletionSink::on_done(const Status& status, const RequestUsage& usage) {
  if (done_) done_(status_for_log(*exchange_, status), usage);
  if (streaming_) {
    if (!status.ok()) {
      exchange_->write("data: " + to_body(to_api_error(status)) + "\n\n");
    } else if (head_.include_usage) {
      Json event = envelope(head_.kind == CompletionKind::chat ? "chat.completion.chunk" : "text_completion");
      event["choices"] = Json::array();
      event["usage"] = usage_json(usage, reasoning_tokens_);
      send(event);
    }
    exchange_->write("data: [DONE]\n\n");
    exchange_->end();
  } else if (!status.ok()) {
    const ApiError error = to_api_error(status);
    exchange_->respond(error_reply(error));
  } else {
    Json body = envelope(head_.kind == CompletionKind::chat ? "chat.completion" : "text_completion");
    body["choices"] = Json::array();
    for (const auto& [index, answer] : answers_) body["choices"].push_back(choice_json(index, answer));
    body["usage"] = usage_json(usage, reasoning_tokens_);
    exchange_->respond({200, "application/json", to_text(body)});
  }
}

Json CompletionSink::envelope(std::string_view object) const {
  return {{"id", head_.id}, {"object", object}, {"created", head_.created}, {"model", head_.model}};
}

Json CompletionSink::choice_json(int32_t index, const Answer& answer) const {
  Json out = {{"index", index}};
  if (head_.kind == CompletionKind::chat) {
    const bool silent = answer.text.empty() && !answer.calls.empty();
    Json& message = out["message"] = {
        {"role", "assistant"}, {"content", silent ? Json() : Json(answer.text)}, {"refusal", nullptr}};
    if (!answer.reasoning.empty()) message["reasoning_content"] = answer.reasoning;
    if (!answer.calls.empty()) message["tool_calls"] = answer.calls;
  } else {
    out["text"] = answer.text;
  }
  out["logprobs"] = logprobs_of(answer.logprobs, 0);
  out["finish_reason"] = answer.finish_reason;
  return out;
}

// `said`: {"content": ...} and the like; empty at the end.
void CompletionSink::send_chunk(int32_t index, Json said, const Json& logprobs, std::string_view finish_reason) {
  Answer& answer = answer_of(index);
  const bool chat = head_.kind == CompletionKind::chat;
  Json choice = {{"index", index}};
  if (chat) {
    Json& delta = choice["delta"] = Json::object();
    if (!std::exchange(answer.begun, true)) delta["role"] = "assistant";
    delta.update(said);
  } else {
    choice["text"] = said.value("content", "");
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
