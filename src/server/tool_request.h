// The fields of a request that say which functions the model may call, and whether it must.
#pragma once

#include <string>
#include <vector>

#include "server/request_fields.h"

namespace kinglet::server {

struct Tool {
  std::string name;
  Json parameters;      ///< a JSON Schema of an object
  bool strict = false;  ///< a schema that cannot be held is refused
};

enum class ToolChoice : uint8_t { none, automatic, required };

struct ToolUse {
  std::vector<Tool> tools;  ///< that may be called
  ToolChoice choice = ToolChoice::automatic;
  bool parallel = true;        ///< several calls in one answer
  Json for_template = Json();  ///< all tools as templates take them; null: none

  bool active() const { return choice != ToolChoice::none && !tools.empty(); }
  std::vector<std::string> names() const;
};

/// tools, tool_choice and parallel_tool_calls. Notes what is wrong in `fields`.
ToolUse parse_tools(RequestFields& fields);

}  // namespace kinglet::server
