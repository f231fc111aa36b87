// Llama's attention block and program, which Mistral and Granite share.
#pragma once

#include "arch/decoder.h"

namespace kinglet {

/// o(attention(rope(q(x)), rope(k(x)), v(x))) with q and k as GGUF's llama family stores them.
SlotId llama_attention(Builder& b, SlotId x, const Hyper& h, int32_t rope);
Result<ProgramStorage> build_llama(Builder& b, const Hyper& h);

}  // namespace kinglet
