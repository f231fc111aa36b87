#include "server/responses_sink.h"

#include <fmt/format.h>

#include <utility>

#include "formats/json.h"
#include "server/replies.h"

namespace kinglet::server {
namespace {

Json text_part(std::string_view text) {
  return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
}

Json thought_part(std::string_view text) { return {{"type", "reasoning_text"}, {"text", text}}; }

Json usage_of(const RequestUsage& usage, int64_t reasoning_tokens) {
  return {{"input_tokens", usage.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"output_tokens", usage.answer_tokens},
          {"output_tokens_details", {{"reasoning_tokens", reasoning_tokens}}},
          {"total_tokens", usage.prompt_tokens + usage.answer_tokens}};
}

}  // namespace

void ResponsesSink::close() {
  if (output_.empty()) open(Item::message, "");  // an answer of no text is one too
  close_item();
}

void ResponsesSink::add(AnswerPart part) {
  switch (part.kind) {
    case AnswerPart::Kind::content:
      if (open_ != Item::message) open(Item::message, "");
      send_of_item("response.output_text.delta",
                   {{"content_index", 0}, {"delta", part.text}, {"logprobs", Json::array()}});
      break;
    case AnswerPart::Kind::reasoning:
      if (open_ != Item::reasoning) open(Item::reasoning, "");
      send_of_item("response.reasoning_text.delta", {{"content_index", 0}, {"delta", part.text}});
      break;
    case AnswerPart::Kind::call:
      return open(Item::call, part.text);
    case AnswerPart::Kind::arguments:
      send_of_item("response.function_call_arguments.delta", {{"delta", part.text}});
      break;
  }
  text_ += part.text;
}

std::string ResponsesSink::next_item_id(std::string_view prefix) {
  return fmt::format("{}_{}_{}", prefix, head_.id.substr(head_.id.find('_') + 1), output_.size());
}

void ResponsesSink::open(Item item, const std::string& name) {
  close_item();
  open_ = item;
  Json added;
  if (item == Item::message) {
    added = {{"id", next_item_id("msg")},
             {"type", "message"},
             {"status", "in_progress"},
             {"role", "assistant"},
             {"content", Json::array()}};
  } else if (item == Item::reasoning) {
    added = {{"id", next_item_id("rs")},
             {"type", "reasoning"},
             {"status", "in_progress"},
             {"summary", Json::array()},
             {"content", Json::array()}};
  } else {
    added = {{"id", next_item_id("fc")},
             {"type", "function_call"},
             {"status", "in_progress"},
             {"call_id", new_call_id(parser().family())},
             {"name", name},
             {"arguments", ""}};
  }
  output_.push_back(added);
  send("response.output_item.added", {{"output_index", output_.size() - 1}, {"item", added}});
  if (item == Item::call) return;
  send_of_item("response.content_part.added",
               {{"content_index", 0}, {"part", item == Item::message ? text_part("") : thought_part("")}});
}

void ResponsesSink::close_item() {
  if (open_ == Item::none) return;
  Json& item = output_.back();
  item["status"] = cut() ? "incomplete" : "completed";
  if (open_ == Item::call) {
    item["arguments"] = text_;
    send_of_item("response.function_call_arguments.done", {{"name", item["name"]}, {"arguments", text_}});
  } else {
    const bool message = open_ == Item::message;
    const Json part = message ? text_part(text_) : thought_part(text_);
    item["content"].push_back(part);
    Json done = {{"content_index", 0}, {"text", text_}};
    if (message) done["logprobs"] = Json::array();
    send_of_item(message ? "response.output_text.done" : "response.reasoning_text.done", std::move(done));
    send_of_item("response.content_part.done", {{"content_index", 0}, {"part", part}});
  }
  send("response.output_item.done", {{"output_index", output_.size() - 1}, {"item", item}});
  open_ = Item::none;
  text_.clear();
}

Json ResponsesSink::response(std::string_view status) const {
  Json out = {{"id", head_.id},       {"object", "response"}, {"created_at", head_.created},
              {"status", status},     {"error", nullptr},     {"incomplete_details", nullptr},
              {"model", head_.model}, {"output", output_},    {"usage", nullptr}};
  out.update(head_.echo);
  return out;
}

void ResponsesSink::end(const ApiError* error, const RequestUsage& usage) {
  const std::string_view state = error != nullptr ? "failed" : cut() ? "incomplete" : "completed";
  Json body = response(state);
  body["usage"] = usage_of(usage, reasoning_tokens());
  if (cut()) body["incomplete_details"] = {{"reason", "max_output_tokens"}};
  if (error != nullptr) body["error"] = {{"code", "server_error"}, {"message", error->message}};
  if (!streaming()) return exchange().respond(json_reply(body));
  send(fmt::format("response.{}", state), {{"response", std::move(body)}});
  exchange().end();
}

void ResponsesSink::begin_stream() {
  exchange().begin({200, "text/event-stream", "", {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}});
  send("response.created", {{"response", response("in_progress")}});
  send("response.in_progress", {{"response", response("in_progress")}});
}

void ResponsesSink::send(std::string_view type, Json fields) {
  if (!streaming()) return;
  Json event = {{"type", type}, {"sequence_number", sequence_++}};
  event.update(fields);
  exchange().write(fmt::format("event: {}\ndata: {}\n\n", type, to_text(event)));
}

void ResponsesSink::send_of_item(std::string_view type, Json fields) {
  Json event = {{"item_id", output_.back()["id"]}, {"output_index", output_.size() - 1}};
  event.update(fields);
  send(type, std::move(event));
}

}  // namespace kinglet::server
