// The shape of a tiny model. For x_test.cc files only.
#pragma once

#include "formats/hf_directory.h"

namespace kinglet::train {

/// Two layers, with biases; a configuration without weights.
inline HfDirectory tiny_qwen() {
  HfDirectory directory{.path = "qwen"};
  directory.config = {{"architectures", {"Qwen2ForCausalLM"}},
                      {"model_type", "qwen2"},
                      {"hidden_size", 64},
                      {"intermediate_size", 160},
                      {"num_hidden_layers", 2},
                      {"num_attention_heads", 4},
                      {"num_key_value_heads", 2},
                      {"max_position_embeddings", 128},
                      {"rms_norm_eps", 1e-5},
                      {"rope_theta", 10000.0},
                      {"tie_word_embeddings", true},
                      {"vocab_size", 500}};
  return directory;
}

}  // namespace kinglet::train
