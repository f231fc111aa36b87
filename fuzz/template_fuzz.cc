// Any bytes as a chat template, rendered with a conversation that has a bit of everything: an error or a text, within
// the limits, and nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "formats/json.h"
#include "tokenizer/chat_template.h"

namespace {

const kinglet::Json& conversation() {
  static const kinglet::Json json = kinglet::Json::parse(R"({
    "messages": [{"role": "system", "content": "Be \u00fcber terse."},
                 {"role": "user", "content": "Hi <b> & 'you'"},
                 {"role": "assistant", "content": null, "tool_calls": [{"id": "call00001", "type": "function",
                   "function": {"name": "f", "arguments": {"x": 1, "y": [1.5, true, null]}}}]},
                 {"role": "tool", "content": "{}", "tool_call_id": "call00001"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "n": 3, "big": 18446744073709551615})");
  return json;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kinglet::TemplateLimits limits;
  limits.max_steps = 200'000;
  limits.max_output_bytes = size_t{1} << 20;
  limits.max_memory_bytes = size_t{16} << 20;
  limits.max_depth = 100;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto compiled = kinglet::ChatTemplate::compile(source, limits);
  if (!compiled.ok()) return 0;
  const auto text = compiled->render(conversation(), 1768478400);
  if (text.ok() ? text->size() > limits.max_output_bytes : text.status().code() == kinglet::Code::internal)
    std::abort();
  return 0;
}
