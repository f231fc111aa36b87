// Llama 3.2 and what follows its shape. Reference: transformers' modeling_llama.py; llama.cpp's "llama".
#include "arch/llama.h"

namespace kinglet {

void config_llama(ConfigIo& io, Hyper& h) {
  decoder_config(io, h);
  // Kinglet's own key: llama.cpp writes Mistral 7B v0.1 as "llama" and drops its window.
  if (io.is_gguf()) io.integer(h.window, {"attention.sliding_window", ""}, ConfigIo::Need::optional);
}

SlotId llama_attention(Builder& b, SlotId x, const Hyper& h, int32_t rope) {
  SlotId q = b.rope_linear(x, {"attn_q", "self_attn.q_proj"}, h.H, h.D);
  SlotId k = b.rope_linear(x, {"attn_k", "self_attn.k_proj"}, h.G, h.D);
  const SlotId v = b.linear(x, {"attn_v", "self_attn.v_proj"}, h.G * h.D);
  q = b.rope(q, h.H, rope, Builder::RopeStyle::as_stored);
  k = b.rope(k, h.G, rope, Builder::RopeStyle::as_stored);
  return b.linear(b.attention(q, k, v), {"attn_output", "self_attn.o_proj"}, h.C);
}

Result<ProgramStorage> build_llama(Builder& b, const Hyper& h) {
  SlotId x = b.embed(kTokenEmbedding, h.V, h.C);
  const int32_t rope = b.rope_table(h.rope_base, h.rope_scaling);
  for (int64_t layer = 0; layer < h.L; ++layer) {
    b.begin_layer(layer);
    x = b.add(x, llama_attention(b, b.rms_norm(x, {"attn_norm", "input_layernorm"}), h, rope));
    x = b.add(x, gated_feed_forward(b, b.rms_norm(x, {"ffn_norm", "post_attention_layernorm"}), Op::silu_mul, h));
  }
  return finish_decoder(b, x, h);
}

}  // namespace kinglet
