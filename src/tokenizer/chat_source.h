// The chat template that a model brings, and the special tokens that it may name.
#pragma once

#include <string>

#include "base/status.h"
#include "formats/checkpoint.h"
#include "formats/json.h"

namespace kinglet {

struct ChatSource {
  std::string text;               ///< the template's source; empty where the model has none
  std::string tool_text;          ///< the one for conversations with tools, where the model has a separate one
  Json special = Json::object();  ///< bos_token, eos_token, unk_token, pad_token, where the model has them

  /// The template for these variables: tool_text where they hold tools.
  const std::string& for_variables(const Json& variables) const;
  /// `variables` with the special tokens that it lacks.
  Json with_special(Json variables) const;
};

/// From a GGUF's metadata or a directory's tokenizer_config.json. What the model lacks stays empty.
ChatSource chat_source(const Checkpoint& checkpoint);

}  // namespace kinglet
