#include "server/ollama_sink.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "formats/json.h"
#include "server/replies.h"

namespace kinglet::server {
namespace {

int64_t nanoseconds(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

}  // namespace

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(now);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now - seconds).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), micros);
}

HttpReply ollama_error(const ApiError& error) {
  HttpReply reply = error_reply(error);
  reply.body = to_ollama_body(error);
  return reply;
}

void OllamaSink::add(AnswerPart part) {
  if (part.kind != AnswerPart::Kind::arguments) end_call();
  switch (part.kind) {
    case AnswerPart::Kind::content:
      said_.content += part.text;
      break;
    case AnswerPart::Kind::reasoning:
      said_.thinking += part.text;
      break;
    case AnswerPart::Kind::call:
      call_ = std::move(part.text);
      break;
    case AnswerPart::Kind::arguments:
      arguments_ += part.text;
      break;
  }
}

// Arguments are an object here, so a call is told of when it is whole.
void OllamaSink::end_call() {
  if (call_.empty()) return;
  auto arguments = parse_json(std::exchange(arguments_, {}));
  said_.calls.push_back(
      {{"function",
        {{"name", std::exchange(call_, {})}, {"arguments", arguments.ok() ? *std::move(arguments) : Json::object()}}}});
}

Json OllamaSink::line_of(const Said& said, bool done) const {
  Json out = {{"model", head_.model}, {"created_at", timestamp()}};
  Json* message = &out;
  if (head_.kind == OllamaKind::chat) {
    message = &(out["message"] = {{"role", "assistant"}, {"content", said.content}});
    if (!said.calls.empty()) (*message)["tool_calls"] = said.calls;
  } else {
    out["response"] = said.content;
  }
  if (!said.thinking.empty()) (*message)["thinking"] = said.thinking;
  out["done"] = done;
  return out;
}

void OllamaSink::sent_token() {
  if (!streaming() || (said_.content.empty() && said_.thinking.empty() && said_.calls.empty())) return;
  send(line_of(std::exchange(said_, {}), false));
}

void OllamaSink::close() {
  end_call();
  sent_token();
}

void OllamaSink::send(const Json& line) { exchange().write(to_text(line) + "\n"); }

void OllamaSink::end(const ApiError* error, const RequestUsage& usage) {
  if (error != nullptr) {
    exchange().write(to_ollama_body(*error) + "\n");
    return exchange().end();
  }
  Json last = line_of(said_, true);
  last["done_reason"] = cut() ? "length" : "stop";
  last["total_duration"] = nanoseconds(usage.total_seconds);
  last["load_duration"] = 0;
  last["prompt_eval_count"] = usage.prompt_tokens;
  last["prompt_eval_duration"] = nanoseconds(usage.first_seconds);
  last["eval_count"] = usage.answer_tokens;
  last["eval_duration"] = nanoseconds(usage.total_seconds - usage.first_seconds);
  if (!streaming()) return exchange().respond(json_reply(last));
  send(last);
  exchange().end();
}

}  // namespace kinglet::server
