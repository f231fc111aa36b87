#include "server/responses_request.h"

#include <fmt/format.h>

#include <algorithm>

namespace kinglet::server {
namespace {

std::string text_member(const Json& item, const char* name) {
  const auto it = item.find(name);
  return it != item.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// Input and output parts alike, as those of a chat: what is no text keeps its type, and is refused by it.
Json chat_content(const Json& content) {
  if (!content.is_array()) return content;
  Json out = Json::array();
  for (Json part : content) {
    if (!part.is_object()) return content;
    const std::string type = text_member(part, "type");
    if (type == "input_text" || type == "output_text" || type == "text") {
      part = Json{{"type", "text"}, {"text", part.value("text", Json())}};
    } else if (type == "refusal") {
      part = Json{{"type", "text"}, {"text", part.value("refusal", Json())}};
    } else if (type == "input_image") {
      part = Json{{"type", "image_url"}};
    } else if (type == "input_file") {
      part = Json{{"type", "file"}};
    }
    out.push_back(std::move(part));
  }
  return out;
}

/// The input's items become messages: calls join the assistant's message before them.
class Items {
 public:
  explicit Items(RequestFields& fields) : fields_(fields) {}

  void add(const Json& item) {
    if (!item.is_object()) return wrong("an item must be an object");
    const std::string type = item.contains("type") ? text_member(item, "type") : "message";
    if (type == "message") return message(item);
    if (type == "function_call") return call(item);
    if (type == "function_call_output") return output(item);
    if (type == "reasoning") return reasoning(item);
    fields_.fail(
        {400, fmt::format("input items of type {} are not supported here", type), "input", "unsupported_parameter"});
  }
  Json messages = Json::array();

 private:
  void wrong(const char* what) { fields_.fail(bad_field("input", fmt::format("input: {}", what))); }
  static bool good(const Json& item, std::initializer_list<const char*> names) {
    return std::ranges::all_of(names, [&](const char* name) { return item.contains(name) && item[name].is_string(); });
  }
  void message(const Json& item) {
    if (!item.contains("role") || !item.contains("content")) return wrong("a message needs a role and a content");
    Json out = {{"role", item["role"]}, {"content", chat_content(item["content"])}};
    if (item["role"] == "assistant") think(out);
    messages.push_back(std::move(out));
  }
  void call(const Json& item) {
    if (!good(item, {"call_id", "name", "arguments"})) {
      return wrong("a function_call needs a call_id, a name and arguments");
    }
    if (messages.empty() || messages.back()["role"] != "assistant") {
      messages.push_back({{"role", "assistant"}, {"content", ""}});
      think(messages.back());
    }
    messages.back()["tool_calls"].push_back({{"id", item["call_id"]},
                                             {"type", "function"},
                                             {"function", {{"name", item["name"]}, {"arguments", item["arguments"]}}}});
  }
  void output(const Json& item) {
    if (!good(item, {"call_id"}) || !item.contains("output")) {
      return wrong("a function_call_output needs a call_id and an output");
    }
    messages.push_back(
        {{"role", "tool"}, {"tool_call_id", item["call_id"]}, {"content", chat_content(item["output"])}});
  }
  void reasoning(const Json& item) {
    for (const char* list : {"content", "summary"}) {
      if (!thought_.empty() || !item.contains(list) || !item[list].is_array()) continue;
      for (const Json& part : item[list]) thought_ += part.is_object() ? text_member(part, "text") : "";
    }
  }
  void think(Json& out) {
    if (!thought_.empty()) out["reasoning_content"] = std::exchange(thought_, {});
  }

  RequestFields& fields_;
  std::string thought_;
};

Json messages_of(RequestFields& fields) {
  Items items(fields);
  const std::string instructions = fields.text("instructions");
  if (!instructions.empty()) items.add({{"role", "system"}, {"content", instructions}});
  const Json* input = fields.get("input");
  if (input != nullptr && input->is_string()) {
    items.add({{"role", "user"}, {"content", *input}});
  } else if (input != nullptr && input->is_array() && !input->empty()) {
    for (const Json& item : *input) items.add(item);
  } else {
    fields.fail(bad_field("input", "input must be a text, or an array with at least one item"));
  }
  // One system message at the front: templates know no other.
  if (!instructions.empty() && items.messages.size() > 1 &&
      (items.messages[1]["role"] == "system" || items.messages[1]["role"] == "developer") &&
      items.messages[1]["content"].is_string()) {
    items.messages[0]["content"] = instructions + "\n\n" + items.messages[1]["content"].get<std::string>();
    items.messages.erase(1);
  }
  return items.messages;
}

// Functions stand in a tool itself here, and in its field "function" there.
Json nested_function(const Json& tool) {
  if (!tool.is_object() || text_member(tool, "type") != "function" || tool.contains("function")) return tool;
  Json function = tool;
  function.erase("type");
  return {{"type", "function"}, {"function", std::move(function)}};
}

void move_tools(RequestFields& fields, Json& chat) {
  if (const Json* tools = fields.get("tools"); tools != nullptr) {
    if (!tools->is_array()) return fields.fail(bad_field("tools", "tools must be an array"));
    chat["tools"] = Json::array();
    for (const Json& tool : *tools) chat["tools"].push_back(nested_function(tool));
  }
  if (const Json* choice = fields.get("tool_choice"); choice != nullptr) {
    chat["tool_choice"] = nested_function(*choice);
    if (choice->is_object() && text_member(*choice, "type") == "allowed_tools") {
      Json allowed = *choice;
      allowed.erase("type");
      if (allowed.contains("tools") && allowed["tools"].is_array()) {
        for (Json& tool : allowed["tools"]) tool = nested_function(tool);
      }
      chat["tool_choice"] = {{"type", "allowed_tools"}, {"allowed_tools", std::move(allowed)}};
    }
  }
  if (const Json* parallel = fields.get("parallel_tool_calls")) chat["parallel_tool_calls"] = *parallel;
}

void move_text_format(RequestFields& fields, Json& chat) {
  const Json* text = fields.get("text");
  if (text == nullptr) return;
  if (!text->is_object()) return fields.fail(bad_field("text", "text must be an object"));
  RequestFields inner(*text);
  inner.accept({"verbosity"});
  if (const Json* format = inner.get("format")) {
    Json form = *format;
    if (form.is_object() && text_member(form, "type") == "json_schema") {
      form.erase("type");
      form = {{"type", "json_schema"}, {"json_schema", std::move(form)}};
    }
    chat["response_format"] = std::move(form);
  }
  if (auto wrong = inner.finish()) fields.fail(*wrong);
}

void move_reasoning(RequestFields& fields, Json& chat) {
  const Json* reasoning = fields.get("reasoning");
  if (reasoning == nullptr) return;
  if (!reasoning->is_object()) return fields.fail(bad_field("reasoning", "reasoning must be an object"));
  RequestFields inner(*reasoning);
  if (const Json* effort = inner.get("effort")) chat["reasoning_effort"] = *effort;
  inner.accept({"summary", "generate_summary"});
  if (auto wrong = inner.finish()) fields.fail(*wrong);
}

// An error names the parameter as it is called here.
ApiError renamed(ApiError error) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {{"messages", "input"},
                                                                      {"response_format", "text.format"},
                                                                      {"max_completion_tokens", "max_output_tokens"},
                                                                      {"reasoning_effort", "reasoning.effort"}};
  for (const auto& [there, here] : kNames) {
    if (error.param != there) continue;
    error.param = here;
    if (error.message.starts_with(there)) error.message.replace(0, there.size(), here);
  }
  return error;
}

Json echo_of(const Json& body) {
  Json echo = {{"instructions", nullptr},
               {"max_output_tokens", nullptr},
               {"metadata", Json::object()},
               {"parallel_tool_calls", true},
               {"previous_response_id", nullptr},
               {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
               {"store", false},
               {"temperature", 1.0},
               {"text", {{"format", {{"type", "text"}}}}},
               {"tool_choice", "auto"},
               {"tools", Json::array()},
               {"top_p", 1.0},
               {"truncation", "disabled"},
               {"user", nullptr}};
  for (auto& [name, value] : echo.items()) {
    if (body.contains(name) && !body[name].is_null()) value = body[name];
  }
  if (!echo["text"].contains("format")) echo["text"]["format"] = {{"type", "text"}};
  return echo;
}

void check_include(RequestFields& fields) {
  for (const std::string& name : fields.texts("include")) {
    if (name == "reasoning.encrypted_content") continue;  // thinking is never encrypted here
    fields.fail({400, fmt::format("include: {} is not supported here", name), "include", "unsupported_parameter"});
  }
}

}  // namespace

std::variant<ResponsesRequest, ApiError> parse_responses_request(const Json& body) {
  RequestFields fields(body);
  Json chat = Json::object();
  chat["messages"] = messages_of(fields);
  for (const char* name : {"model", "temperature", "top_p", "top_k", "min_p", "seed", "stream", "user",
                           "safety_identifier", "chat_template_kwargs"}) {
    if (const Json* value = fields.get(name)) chat[name] = *value;
  }
  if (const Json* most = fields.get("max_output_tokens")) chat["max_completion_tokens"] = *most;
  move_tools(fields, chat);
  move_text_format(fields, chat);
  move_reasoning(fields, chat);
  check_include(fields);
  fields.accept({"metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention", "stream_options"});
  fields.only("store", false);  // nothing is kept here
  fields.only("background", false);
  fields.only("truncation", "disabled");
  fields.only("top_logprobs", 0);
  if (auto wrong = fields.finish()) return *std::move(wrong);
  auto parsed = parse_chat_request(chat);
  if (auto* error = std::get_if<ApiError>(&parsed)) return renamed(std::move(*error));
  ResponsesRequest out{std::get<CompletionRequest>(std::move(parsed)), echo_of(body)};
  if (out.chat.form) out.chat.form->param = "text.format";
  return out;
}

}  // namespace kinglet::server
