// How the families of chat models write tool calls and thinking: one table (chat_family.cc), one entry a family.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"

namespace kinglet::server {

/// What stands behind the marker of tool calls.
enum class CallForm : uint8_t {
  one,   ///< one call: {"name": ..., "arguments": {...}}; each further one has a marker of its own
  list,  ///< calls in an array
};

/// How a conversation with tools gets to the model.
enum class ToolDelivery : uint8_t {
  variable,      ///< the template prints the variable `tools`
  system_field,  ///< the template prints the system message's field `tools`, a text of JSON
  instructions,  ///< the template knows no tools: what to do is written into the system message
};

struct ThinkingForm {
  std::string_view begin, end;
};

struct ChatFamily {
  std::string_view name;
  std::string_view template_has[2] = {};  ///< texts that a template of this family has, all of them
  std::string_view begin;                 ///< of calls, as written when they are required
  std::string_view end;                   ///< may be empty
  std::string_view other_begins[2] = {};  ///< of calls, as some models write them too
  CallForm form = CallForm::one;
  bool several = true;                       ///< more than one call in an answer
  bool bare = false;                         ///< an answer that is a call and nothing else needs no marker
  bool short_ids = false;                    ///< a call's id is 9 letters and digits
  bool thinking_tags = false;                ///< <response> and </response> around what follows the thinking
  std::string_view arguments = "arguments";  ///< what the object of a call calls them
  ToolDelivery delivery = ToolDelivery::variable;
  ThinkingForm thinking = {"<think>", "</think>"};

  std::vector<std::string_view> begins() const;  ///< markers behind which calls stand
  /// All texts that may be control tokens of a vocabulary and are part of an answer.
  std::vector<std::string_view> markers() const;
};

/// Begins a block of code that is a bare call.
inline constexpr std::string_view kCallFence = "```json";

/// Every family, the one for all other models last.
std::span<const ChatFamily> chat_families();
/// The first whose texts the template has.
const ChatFamily& chat_family(std::string_view chat_template);

/// Messages and tools as the family's template takes them. `messages` are of parse_messages; `template_text` says what it can print itself.
struct ToolConversation {
  Json messages, tools;
};
ToolConversation for_family(const ChatFamily& family, std::string_view template_text, Json messages, const Json& tools);

/// `calls` (of a message, arguments as objects) as the family writes them, markers and all.
std::string calls_text(const ChatFamily& family, const Json& calls);

/// An id that no other call has.
std::string new_call_id(const ChatFamily& family);

}  // namespace kinglet::server
