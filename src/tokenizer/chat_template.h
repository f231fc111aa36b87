// The Jinja subset that chat templates use, interpreted in a sandbox with limits on steps and output.
// Reference: jinja2 3.1 as transformers sets it up (trim_blocks, lstrip_blocks, loop controls, tojson without HTML escapes,
// raise_exception, strftime_now).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "formats/json_fwd.h"

namespace kinglet {

struct TemplateLimits {
  uint64_t max_steps = 20'000'000;  ///< evaluated nodes
  size_t max_output_bytes = size_t{64} << 20;
  size_t max_memory_bytes = size_t{256} << 20;  ///< values alive at once, roughly
  int max_depth = 200;                          ///< nesting of the source and of calls
};

class ChatTemplate {
 public:
  /// Errors: corrupt with "line N: reason"; unsupported where the template uses something outside the subset, by name.
  static Result<ChatTemplate> compile(std::string_view source, const TemplateLimits& limits = {});
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  /// `variables` is an object: messages, tools, add_generation_prompt, bos_token, ... As transformers passes them always,
  /// absent tools and documents are none and an absent add_generation_prompt is false. `now_unix` and the local time zone
  /// are what strftime_now sees. Errors: invalid_argument with line and reason (raise_exception's text included).
  Result<std::string> render(const Json& variables, int64_t now_unix) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kinglet
