// IBM Granite 3.2: Llama with multipliers on embeddings, attention scores, residuals and logits.
// Reference: transformers' modeling_granite.py.
#include "arch/llama.h"

namespace kinglet {

void config_granite(ConfigIo& io, Hyper& h) {
  decoder_config(io, h);
  io.real(h.embedding_scale, {"embedding_scale", "embedding_multiplier"});
  io.real(h.attention_scale, {"attention.scale", "attention_multiplier"});
  io.real(h.residual_scale, {"residual_scale", "residual_multiplier"});
  io.real(h.logit_scale, {"logit_scale", "logits_scaling"});
}

Result<ProgramStorage> build_granite(Builder& b, const Hyper& h) {
  SlotId x = b.scale(b.embed(kTokenEmbedding, h.V, h.C), h.embedding_scale);
  const int32_t rope = b.rope_table(h.rope_base, h.rope_scaling);
  for (int64_t layer = 0; layer < h.L; ++layer) {
    b.begin_layer(layer);
    const SlotId attended = llama_attention(b, b.rms_norm(x, {"attn_norm", "input_layernorm"}), h, rope);
    x = b.add(x, b.scale(attended, h.residual_scale));
    const SlotId fed = gated_feed_forward(b, b.rms_norm(x, {"ffn_norm", "post_attention_layernorm"}), Op::silu_mul, h);
    x = b.add(x, b.scale(fed, h.residual_scale));
  }
  return finish_decoder(b, x, h);
}

}  // namespace kinglet
