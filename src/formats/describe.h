// What a checkpoint holds, in words: for people and for `kinglet inspect --json`.
#pragma once

#include <string>
#include <vector>

#include "formats/checkpoint.h"
#include "formats/json.h"

namespace kinglet {

/// A GGUF's key and value, or a leaf of config.json or generation_config.json ("rope_scaling.factor").
struct MetadataEntry {
  std::string key;
  std::string type;  ///< "u32", "string", "string[151936]"
  Json value;        ///< of a long array its first items
};

/// Longest array that is given whole, and how many items of a longer one.
inline constexpr size_t kWholeArray = 16;
inline constexpr size_t kArrayHead = 4;

std::vector<MetadataEntry> describe_metadata(const Checkpoint& checkpoint);
/// The value on one line, at most about `most` bytes; strings in quotes, an array that goes on ends in "...".
std::string metadata_text(const MetadataEntry& entry, size_t most);

struct NamedTensor {
  std::string name;
  TensorView view;
};
/// Every tensor of the files, in their order.
std::vector<NamedTensor> all_tensors(const Checkpoint& checkpoint);

}  // namespace kinglet
