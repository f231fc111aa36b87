// A two-layer llama with random weights, written as a GGUF file or a Hugging Face folder, whole or damaged. For tests only.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "arch/architecture.h"
#include "formats/gguf.h"
#include "formats/json.h"

namespace kinglet {

struct TinyTensor {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

/// What a damaged copy differs in; empty: a model that runs.
struct Damage {
  std::map<std::string, gguf::Value> set;          ///< GGUF metadata, replaced or added
  std::vector<std::string> without;                ///< GGUF metadata, left out
  std::function<void(Json& config)> config;        ///< of config.json
  std::function<bool(TinyTensor& tensor)> tensor;  ///< may change a tensor; false leaves it out
};

inline constexpr int64_t kTinyVocabulary = 264;

/// Writes the model; gtest failures where that does not work.
void write_tiny_gguf(const std::string& path, const Damage& damage = {});
void write_tiny_folder(const std::string& folder, const Damage& damage = {});

}  // namespace kinglet
