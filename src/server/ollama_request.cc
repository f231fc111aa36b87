#include "server/ollama_request.h"

#include <fmt/format.h>

#include <deque>

#include "formats/json.h"

namespace kinglet::server {
namespace {

// Each with its name there and here, and Ollama's own default where it differs.
struct Option {
  const char* there;
  const char* here;
  double otherwise;
};
constexpr Option kOptions[] = {{"temperature", "temperature", 0.8},
                               {"top_p", "top_p", 0.9},
                               {"min_p", "min_p", 0},
                               {"typical_p", "typical_p", 1},
                               {"repeat_penalty", "repetition_penalty", 1.1},
                               {"presence_penalty", "presence_penalty", 0},
                               {"frequency_penalty", "frequency_penalty", 0}};

/// What of an Ollama request's options a chat request's body does not hold.
struct Extras {
  int32_t penalty_window = 64;
};

Extras move_options(RequestFields& fields, Json& chat) {
  Extras extras;
  const Json none = Json::object();
  const Json* given = fields.get("options");
  if (given != nullptr && !given->is_object()) {
    fields.fail(bad_field("options", "options must be an object"));
    given = nullptr;
  }
  RequestFields options(given == nullptr ? none : *given);
  for (const Option& option : kOptions) {
    const Json* value = options.get(option.there);
    chat[option.here] = value == nullptr ? Json(option.otherwise) : *value;
  }
  const Json* top_k = options.get("top_k");
  chat["top_k"] = top_k == nullptr ? Json(40) : *top_k;
  for (const char* name : {"seed", "stop"}) {
    if (const Json* value = options.get(name)) chat[name] = *value;
  }
  extras.penalty_window = static_cast<int32_t>(options.integer("repeat_last_n", 64, -1, 1 << 30));
  const int64_t most = options.integer("num_predict", -1, -2, int64_t{1} << 30);
  if (most > 0) chat["max_completion_tokens"] = most;
  // The server's own affair: context and memory are set where it starts, and a prompt that is too long is refused.
  options.accept({"num_ctx", "num_keep", "num_gpu", "num_thread", "num_batch", "main_gpu", "use_mmap", "use_mlock",
                  "low_vram", "numa", "f16_kv", "vocab_only", "penalize_newline"});
  options.only("mirostat", 0);
  options.accept({"mirostat_tau", "mirostat_eta"});
  options.only("tfs_z", 1.0);
  if (auto wrong = options.finish()) fields.fail(*wrong);
  return extras;
}

void move_format(RequestFields& fields, Json& chat) {
  const Json* format = fields.get("format");
  if (format == nullptr || *format == "") return;
  if (*format == "json") {
    chat["response_format"] = {{"type", "json_object"}};
  } else if (format->is_object()) {
    chat["response_format"] = {{"type", "json_schema"}, {"json_schema", {{"name", "format"}, {"schema", *format}}}};
  } else {
    fields.fail(bad_field("format", "format must be \"json\" or a JSON Schema"));
  }
}

void move_thinking(RequestFields& fields, Json& chat) {
  const Json* think = fields.get("think");
  if (think == nullptr) return;
  if (think->is_boolean()) chat["reasoning_effort"] = *think == true ? "medium" : "none";
  else chat["reasoning_effort"] = *think;
}

bool has_images(const Json& object) {
  const auto it = object.find("images");
  return it != object.end() && !it->is_null() && !it->empty();
}

void refuse_images(RequestFields& fields) {
  fields.fail({400, "images: this model reads text only", "images", "unsupported_parameter"});
}

// Calls have no ids there: results answer them in their order.
Json messages_of(const Json& given, RequestFields& fields) {
  Json out = Json::array();
  std::deque<std::string> open;
  int calls = 0;
  for (const Json& message : given) {
    Json one = message;
    if (one.is_object()) {
      if (has_images(one)) refuse_images(fields);
      one.erase("images");
      if (one.contains("thinking")) one["reasoning_content"] = one["thinking"];
      one.erase("thinking");
      if (one.contains("tool_calls") && one["tool_calls"].is_array()) {
        for (Json& call : one["tool_calls"]) {
          if (!call.is_object()) continue;
          call["type"] = "function";
          if (!call.contains("id")) call["id"] = fmt::format("call_{}", calls++);
          open.push_back(call["id"].is_string() ? call["id"].get<std::string>() : "");
        }
      }
      if (one.value("role", Json()) == "tool") {
        if (!one.contains("tool_call_id") && !open.empty()) one["tool_call_id"] = open.front();
        if (!open.empty()) open.pop_front();
      }
    }
    out.push_back(std::move(one));
  }
  return out;
}

void move_prompt(RequestFields& fields, Json& chat, OllamaRequest& out) {
  const std::string prompt = fields.text("prompt"), system = fields.text("system");
  if (const Json* images = fields.get("images"); images != nullptr && !images->empty()) refuse_images(fields);
  fields.only("suffix", "");
  fields.only("template", "");
  fields.only("context", Json::array());
  out.raw = fields.flag("raw");
  out.empty = prompt.empty();
  out.chat.prompt = prompt;
  chat["messages"] = Json::array();
  if (!system.empty()) chat["messages"].push_back({{"role", "system"}, {"content", system}});
  chat["messages"].push_back({{"role", "user"}, {"content", prompt}});
}

}  // namespace

std::string without_tag(std::string name) {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.erase(name.size() - kLatest.size());
  return name;
}

std::string to_ollama_body(const ApiError& error) { return to_text(Json{{"error", error.message}}); }

std::variant<OllamaRequest, ApiError> parse_ollama_request(const Json& body, OllamaKind kind) {
  RequestFields fields(body);
  OllamaRequest out;
  Json chat = Json::object();
  if (const Json* model = fields.get("model")) chat["model"] = *model;
  if (kind == OllamaKind::generate) {
    move_prompt(fields, chat, out);
  } else {
    const Json* messages = fields.get("messages");
    out.empty = messages == nullptr || messages->empty();
    chat["messages"] = messages != nullptr && messages->is_array() ? messages_of(*messages, fields) : Json();
    if (out.empty) chat["messages"] = Json::array({{{"role", "user"}, {"content", ""}}});
    if (const Json* tools = fields.get("tools")) chat["tools"] = *tools;
  }
  const Extras extras = move_options(fields, chat);
  move_format(fields, chat);
  move_thinking(fields, chat);
  out.stream = fields.flag("stream", true);
  fields.accept({"keep_alive"});
  if (auto wrong = fields.finish()) return *std::move(wrong);
  auto parsed = parse_chat_request(chat);
  if (auto* error = std::get_if<ApiError>(&parsed)) return std::move(*error);
  std::string prompt = std::move(out.chat.prompt);
  out.chat = std::get<CompletionRequest>(std::move(parsed));
  out.chat.prompt = std::move(prompt);
  if (out.chat.form) out.chat.form->param = "format";
  out.chat.options.sampling.penalty_window = extras.penalty_window;
  return out;
}

}  // namespace kinglet::server
