// Mistral 7B: Llama's program with a sliding window on every layer (v0.1; later versions have none).
// Reference: transformers' modeling_mistral.py.
#include "arch/llama.h"

namespace kinglet {

void config_mistral(ConfigIo& io, Hyper& h) {
  decoder_config(io, h);
  if (io.reading() || h.window > 0)
    io.integer(h.window, {"attention.sliding_window", "sliding_window"}, ConfigIo::Need::optional);
}

Result<ProgramStorage> build_mistral(Builder& b, const Hyper& h) { return build_llama(b, h); }

}  // namespace kinglet
