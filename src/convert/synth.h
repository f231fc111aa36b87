// Random-weight models of published shapes, for benchmarks and memory planning.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/parallel.h"
#include "convert/presets.h"
#include "tensor/dtype.h"

namespace kinglet::convert {

/// Called between pieces of work with bytes written and bytes in all.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

struct SynthOptions {
  DType type = DType::q4_k;  ///< of every Linear weight and the embedding; see stored_type() for rows that do not fit
  uint64_t seed = 1;         ///< the same seed gives the same file, whatever the number of threads
  Parallel parallel = Parallel::serial();
  Progress progress;
};

/// Writes a GGUF with the preset's shape and vocabulary at `path`. The output head (and the embedding where it is shared)
/// of a quantized model is Q6_K, or Q8_0 where the model is, as llama.cpp's quantizer has it; norms and biases are F32.
/// Errors: invalid_argument (a type that no weight has), io.
Status synthesize(const Preset& preset, const std::string& path, const SynthOptions& options);

}  // namespace kinglet::convert
