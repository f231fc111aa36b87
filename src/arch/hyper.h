// Hyper-parameters of a decoder, as every architecture file reads them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kinglet {

struct RopeScaling {
  enum class Kind { none, linear, llama3, longrope };
  Kind kind = Kind::none;
  double factor = 1;
  double low_freq_factor = 1;   ///< llama3
  double high_freq_factor = 4;  ///< llama3
  int64_t original_context = 0;
  std::vector<float> long_factor, short_factor;  ///< longrope: rotary / 2 each
  std::vector<float> freq_factor;                ///< llama3 as GGUF carries it: the divisors themselves
  double attention_factor = 0;                   ///< 0: by the formula of the kind
};

/// Width of every axis and the scalars; what an architecture lacks keeps its neutral value.
struct Hyper {
  int64_t V = 0;  ///< vocabulary
  int64_t C = 0;  ///< model width
  int64_t L = 0;  ///< layers
  int64_t H = 0;  ///< query heads
  int64_t G = 0;  ///< key-value heads
  int64_t D = 0;  ///< head width
  int64_t F = 0;  ///< feed-forward width
  int64_t context = 0;
  double norm_eps = 1e-5;
  double rope_base = 10000;
  double rope_base_local = 10000;  ///< sliding-window layers, where they differ
  double rotary_fraction = 1;      ///< of D
  RopeScaling rope_scaling;
  int64_t window = 0;              ///< sliding window in tokens, 0: none
  std::vector<bool> local_layers;  ///< which layers have the window; empty: all, where window > 0
  bool tied = false;               ///< output head shares the embedding
  double embedding_scale = 1;
  double attention_scale = 0;  ///< 0: 1 / sqrt(D)
  double residual_scale = 1;
  double logit_scale = 1;  ///< logits are divided by it
  double final_softcap = 0;

  int64_t rotary() const { return static_cast<int64_t>(static_cast<double>(D) * rotary_fraction); }
  bool is_local(int64_t layer) const {
    return window > 0 && (local_layers.empty() || local_layers[static_cast<size_t>(layer)]);
  }
};

}  // namespace kinglet
