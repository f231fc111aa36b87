// A Hugging Face model directory, opened. Kept apart from checkpoint.h, which most of the program includes and few need JSON with.
#pragma once

#include <optional>
#include <string>

#include "formats/json.h"
#include "formats/safetensors.h"

namespace kinglet {

/// The JSON files of a Hugging Face model directory; absent ones are null.
struct HfDirectory {
  std::string path;
  Json config;                ///< config.json
  Json tokenizer;             ///< tokenizer.json
  Json tokenizer_config;      ///< tokenizer_config.json
  Json generation_config;     ///< generation_config.json
  std::string sentencepiece;  ///< bytes of tokenizer.model
  std::string chat_template;  ///< chat_template.jinja, else tokenizer_config's chat_template, else empty
  std::optional<safetensors::File> weights;
};

}  // namespace kinglet
