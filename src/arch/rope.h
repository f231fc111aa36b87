// Rotary embedding frequencies for every scaling that the supported models use.
// Reference: transformers' modeling_rope_utils.py.
#pragma once

#include <cstdint>
#include <vector>

#include "arch/config_io.h"
#include "arch/hyper.h"

namespace kinglet {

struct RopeFrequencies {
  std::vector<float> freq;       ///< rotary / 2
  std::vector<float> long_freq;  ///< rotary / 2, or empty where the length changes nothing
  float magnitude = 1.0f;        ///< factor on cos and sin
};

/// `context` is the longest the model was made for; longrope's magnitude depends on it.
RopeFrequencies rope_frequencies(double base, int64_t rotary, int64_t context, const RopeScaling& scaling);

/// llama3's divisors, one for each frequency, as GGUF's rope_freqs.weight holds them.
std::vector<float> llama3_divisors(double base, int64_t rotary, const RopeScaling& scaling);

/// Moves base, rotary fraction and scaling: rope.* keys and factor tensors of a GGUF; of a config.json rope_theta and
/// rope_scaling (older form) or rope_parameters (newer form).
void rope_config(ConfigIo& io, Hyper& hyper);

}  // namespace kinglet
