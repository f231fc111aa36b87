// A trained model as a Hugging Face directory.
#pragma once

#include <string>

#include "formats/checkpoint.h"
#include "train/parameters.h"

namespace kinglet::train {

/// Writes model.safetensors (f32), config.json and the tokenizer's files into `folder`, which may exist; each file appears whole or not
/// at all. The configuration is `config`'s, the tokenizer's files are copied from the folder `tokenizer`; empty: there is none.
/// Errors: io.
Status save_model(const Parameters& parameters, const Checkpoint& config, const std::string& tokenizer,
                  const std::string& folder);

}  // namespace kinglet::train
