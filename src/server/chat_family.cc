#include "server/chat_family.h"

#include <algorithm>
#include <random>

#include "formats/json.h"

namespace kinglet::server {
namespace {

constexpr std::string_view kInstructions =
    "You may call one or more functions to assist with the user query.\n\nYou are provided with function signatures "
    "within "
    "<tools></tools> XML tags:\n<tools>\n";
constexpr std::string_view kHowToCall =
    "</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML "
    "tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>";

// Sources: each family's published chat template and model card.
constexpr ChatFamily kFamilies[] = {
    {.name = "phi-4-mini",
     .template_has = {"<|tool|>", "message['tools']"},
     .begin = "<|tool_call|>",
     .end = "<|/tool_call|>",
     .other_begins = {"functools"},
     .form = CallForm::list,
     .delivery = ToolDelivery::system_field},
    {.name = "mistral",
     .template_has = {"[AVAILABLE_TOOLS]", "[TOOL_CALLS]"},
     .begin = "[TOOL_CALLS]",
     .form = CallForm::list,
     .short_ids = true},
    {.name = "granite-3.2",
     .template_has = {"<|start_of_role|>", "Here is my thought process:"},
     .begin = "<|tool_call|>",
     .other_begins = {"<tool_call>"},
     .form = CallForm::list,
     .thinking = {"Here is my thought process:", "Here is my response:"}},
    {.name = "granite-3",
     .template_has = {"<|start_of_role|>", "<|tool_call|>"},
     .begin = "<|tool_call|>",
     .other_begins = {"<tool_call>"},
     .form = CallForm::list,
     .thinking_tags = true},
    {.name = "llama-3",
     .template_has = {"<|start_header_id|>", "\"parameters\": "},
     .begin = "",
     .other_begins = {"<|python_tag|>"},
     .several = false,
     .bare = true,
     .arguments = "parameters"},
    {.name = "hermes",
     .template_has = {"<tool_call>", "tools"},
     .begin = "<tool_call>\n",
     .end = "\n</tool_call>",
     .bare = true},
    {.name = "any", .begin = "<tool_call>\n", .end = "\n</tool_call>", .delivery = ToolDelivery::instructions},
};

std::string_view without_line_ends(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

Json& system_message(Json& messages) {
  if (messages.empty() || messages[0].value("role", "") != "system") {
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", ""}});
  }
  return messages[0];
}

void append_text(Json& message, std::string_view text) {
  const std::string before = message.value("content", "");
  message["content"] = before + (before.empty() ? "" : "\n\n") + std::string(text);
}

Json functions_of(const Json& tools) {
  Json out = Json::array();
  for (const Json& tool : tools) out.push_back(tool["function"]);
  return out;
}

// The same id for the same text, as a template that insists on short ones takes it.
std::string short_id(const std::string& id) {
  const bool good = id.size() == 9 && std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) != 0; });
  if (good) return id;
  uint64_t hash = 1469598103934665603ull;  // FNV-1a
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  std::string out;
  for (int i = 0; i < 9; ++i, hash /= 36) out += "0123456789abcdefghijklmnopqrstuvwxyz"[hash % 36];
  return out;
}

void shorten_ids(Json& message) {
  if (message.contains("tool_calls")) {
    for (Json& call : message["tool_calls"]) call["id"] = short_id(call.value("id", ""));
  }
  if (message.contains("tool_call_id") && message["tool_call_id"].is_string()) {
    message["tool_call_id"] = short_id(message["tool_call_id"]);
  }
}

}  // namespace

std::vector<std::string_view> ChatFamily::begins() const {
  std::vector<std::string_view> out;
  for (const std::string_view text : {begin, other_begins[0], other_begins[1]}) {
    if (!text.empty()) out.push_back(without_line_ends(text));
  }
  return out;
}

std::vector<std::string_view> ChatFamily::markers() const {
  std::vector<std::string_view> out = begins();
  for (const std::string_view text : {without_line_ends(end), thinking.begin, thinking.end}) {
    if (!text.empty()) out.push_back(text);
  }
  return out;
}

std::span<const ChatFamily> chat_families() { return kFamilies; }

const ChatFamily& chat_family(std::string_view chat_template) {
  return *std::ranges::find_if(kFamilies, [&](const ChatFamily& family) {
    return std::ranges::all_of(
        family.template_has, [&](std::string_view text) { return chat_template.find(text) != std::string_view::npos; });
  });
}

std::string calls_text(const ChatFamily& family, const Json& calls) {
  std::string out;
  for (const Json& call : calls) {
    const Json& function = call["function"];
    const std::string one = "{\"name\": " + to_text(function["name"]) + ", \"" + std::string(family.arguments) +
                            "\": " + to_text(function.contains("arguments") ? function["arguments"] : Json::object()) +
                            "}";
    if (family.form == CallForm::list) {
      out += (out.empty() ? std::string(family.begin) + "[" : ", ") + one;
    } else {
      out += (out.empty() ? "" : "\n") + std::string(family.begin) + one + std::string(family.end);
    }
  }
  if (family.form == CallForm::list && !out.empty()) out += "]" + std::string(family.end);
  return out;
}

ToolConversation for_family(const ChatFamily& family, std::string_view template_text, Json messages,
                            const Json& tools) {
  const bool prints_results = family.delivery != ToolDelivery::instructions;
  const bool prints_calls = prints_results && template_text.find("tool_calls") != std::string_view::npos;
  for (Json& message : messages) {
    if (family.short_ids) shorten_ids(message);
    if (!prints_calls && message.contains("tool_calls")) {
      append_text(message, calls_text(family, message["tool_calls"]));
      message.erase("tool_calls");
    }
    if (!prints_results && message.value("role", "") == "tool") {
      message = {{"role", "user"},
                 {"content", "<tool_response>\n" + message.value("content", "") + "\n</tool_response>"}};
    }
  }
  if (tools.is_null()) return {std::move(messages), tools};
  switch (family.delivery) {
    case ToolDelivery::variable:
      return {std::move(messages), tools};
    case ToolDelivery::system_field:
      system_message(messages)["tools"] = to_text(functions_of(tools));
      break;
    case ToolDelivery::instructions: {
      std::string text(kInstructions);
      for (const Json& tool : tools) text += to_text(tool) + "\n";
      append_text(system_message(messages), text.append(kHowToCall));
      break;
    }
  }
  return {std::move(messages), Json()};
}

std::string new_call_id(const ChatFamily& family) {
  std::random_device random;
  std::string out = family.short_ids ? "" : "call_";
  for (const size_t size = family.short_ids ? 9 : 29; out.size() < size;) {
    out += "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[random() % 62];
  }
  return out;
}

}  // namespace kinglet::server
