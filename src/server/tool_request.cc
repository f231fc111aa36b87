#include "server/tool_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "formats/json.h"

namespace kinglet::server {
namespace {

constexpr size_t kMostTools = 512;  // OpenAI takes 128
constexpr size_t kLongestName = 128;

const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

bool is_text(const Json* value) { return value != nullptr && value->is_string(); }

ApiError bad_tool(std::string_view what) { return bad_field("tools", fmt::format("tools: {}", what)); }

void parse_tool(const Json& given, RequestFields& fields, ToolUse& out) {
  const Json* type = member(given, "type");
  if (is_text(type) && *type != "function") {
    return fields.fail({400, fmt::format("tools of type {} are not supported here, only functions", to_text(*type)),
                        "tools", "unsupported_parameter"});
  }
  const Json* function = member(given, "function");
  const Json* name = function == nullptr ? nullptr : member(*function, "name");
  if (!is_text(name)) {
    return fields.fail(
        bad_tool("each must be {\"type\": \"function\", \"function\": {\"name\": ..., \"parameters\": {...}}}"));
  }
  Tool tool{*name, Json{{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}}};
  if (tool.name.empty() || tool.name.size() > kLongestName) return fields.fail(bad_tool("a name is empty or too long"));
  for (const Tool& other : out.tools) {
    if (other.name == tool.name) return fields.fail(bad_tool(fmt::format("two are called {}", tool.name)));
  }
  if (const Json* parameters = member(*function, "parameters")) {
    if (!parameters->is_object()) return fields.fail(bad_tool("parameters must be a JSON Schema of an object"));
    tool.parameters = *parameters;
    if (!tool.parameters.contains("type")) tool.parameters["type"] = "object";
  }
  const Json* strict = member(*function, "strict");
  tool.strict = strict != nullptr && *strict == true;
  out.tools.push_back(std::move(tool));
}

bool keep_only(const std::vector<std::string>& names, ToolUse& out) {
  const auto of_names = [&](const Tool& tool) { return std::ranges::find(names, tool.name) != names.end(); };
  const bool known = std::ranges::all_of(names, [&](const std::string& name) {
    return std::ranges::any_of(out.tools, [&](const Tool& tool) { return tool.name == name; });
  });
  std::erase_if(out.tools, [&](const Tool& tool) { return !of_names(tool); });
  return known && !names.empty();
}

bool parse_mode(const Json& mode, ToolUse& out) {
  if (mode == "auto") out.choice = ToolChoice::automatic;
  else if (mode == "none") out.choice = ToolChoice::none;
  else if (mode == "required") out.choice = ToolChoice::required;
  else return false;
  return true;
}

std::string function_name(const Json& choice) {
  const Json* function = member(choice, "function");
  const Json* name = function == nullptr ? nullptr : member(*function, "name");
  return is_text(name) ? name->get<std::string>() : std::string();
}

bool parse_choice(const Json& choice, ToolUse& out) {
  if (choice.is_string()) return parse_mode(choice, out);
  const Json* type = member(choice, "type");
  if (type == nullptr) return false;
  if (*type == "function") {
    out.choice = ToolChoice::required;
    out.parallel = false;
    return keep_only({function_name(choice)}, out);
  }
  const Json* allowed = *type == "allowed_tools" ? member(choice, "allowed_tools") : nullptr;
  const Json* tools = allowed == nullptr ? nullptr : member(*allowed, "tools");
  const Json* mode = allowed == nullptr ? nullptr : member(*allowed, "mode");
  if (tools == nullptr || !tools->is_array() || mode == nullptr) return false;
  std::vector<std::string> names;
  for (const Json& tool : *tools) names.push_back(function_name(tool));
  return keep_only(names, out) && parse_mode(*mode, out);
}

}  // namespace

std::vector<std::string> ToolUse::names() const {
  std::vector<std::string> out;
  for (const Tool& tool : tools) out.push_back(tool.name);
  return out;
}

ToolUse parse_tools(RequestFields& fields) {
  ToolUse out;
  out.parallel = fields.flag("parallel_tool_calls", true);
  const Json* tools = fields.get("tools");
  if (tools != nullptr && (!tools->is_array() || tools->size() > kMostTools)) {
    fields.fail(bad_tool(fmt::format("an array of at most {} is expected", kMostTools)));
    return out;
  }
  if (tools != nullptr) {
    for (const Json& tool : *tools) parse_tool(tool, fields, out);
    if (!tools->empty()) out.for_template = *tools;
  }
  if (const Json* choice = fields.get("tool_choice"); choice != nullptr && !fields.failed()) {
    if (!parse_choice(*choice, out)) {
      fields.fail(
          bad_field("tool_choice",
                    "tool_choice must be \"auto\", \"none\", \"required\" or name a function that is among the tools"));
    } else if (out.choice == ToolChoice::required && out.tools.empty()) {
      fields.fail(bad_field("tool_choice", "tool_choice asks for a call, and there are no tools"));
    }
  }
  if (out.choice == ToolChoice::none) out.for_template = Json();
  return out;
}

}  // namespace kinglet::server
