// Models from one format to another: GGUF files and Hugging Face directories, with the names, orders and metadata that
// llama.cpp's programs and transformers expect.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "arch/adapter.h"
#include "formats/checkpoint.h"

namespace kinglet::convert {

/// Called between tensors with bytes read and bytes in all.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

struct ConvertOptions {
  std::optional<DType> type;  ///< of the weights (norms and biases of a GGUF stay f32); nothing: each keeps its own
  std::string name;           ///< general.name; empty: the source's, else its folder's name
  Progress progress;
  uint64_t split_bytes = 0;  ///< of a GGUF: tensors of more than this go into several files; 0: always one
  /// Added to the weights: W + scale B A, with DoRA times its gains. It was read for the source (arch/adapter.h).
  const Adapter* adapter = nullptr;
  /// What a parameter has in place of the source's tensor, in the source's own layout; nothing: that tensor.
  std::function<std::optional<TensorView>(const ParamInfo& param)> replaced = {};
};

/// Writes `source` as a GGUF at `path`, and returns the path to open: the first part's where it was split. Errors:
/// unsupported (the architecture, its tokenizer, tensors that the architecture does not know), corrupt, io.
Result<std::string> to_gguf(const Checkpoint& source, const std::string& path, const ConvertOptions& options);

/// Writes `source`, a GGUF (or a directory with an adapter), as a Hugging Face directory, which must not exist or be empty: weights (shards of 5 GB with their index
/// where they are larger), config.json and the tokenizer's files. Nothing is left behind where it fails.
/// Errors: as to_gguf; unsupported where a quantized tensor would have to be kept.
Status to_hugging_face(const Checkpoint& source, const std::string& folder, const ConvertOptions& options);

}  // namespace kinglet::convert
