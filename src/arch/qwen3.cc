// Qwen3: queries and keys normalized by head before rope, no biases. Reference: transformers' modeling_qwen3.py.
#include "arch/decoder.h"

namespace kinglet {

void config_qwen3(ConfigIo& io, Hyper& h) { decoder_config(io, h); }

Result<ProgramStorage> build_qwen3(Builder& b, const Hyper& h) {
  SlotId x = b.embed(kTokenEmbedding, h.V, h.C);
  const int32_t rope = b.rope_table(h.rope_base, h.rope_scaling);
  for (int64_t layer = 0; layer < h.L; ++layer) {
    b.begin_layer(layer);
    const SlotId normed = b.rms_norm(x, {"attn_norm", "input_layernorm"});
    SlotId q = b.linear(normed, {"attn_q", "self_attn.q_proj"}, h.H * h.D);
    SlotId k = b.linear(normed, {"attn_k", "self_attn.k_proj"}, h.G * h.D);
    const SlotId v = b.linear(normed, {"attn_v", "self_attn.v_proj"}, h.G * h.D);
    q = b.rope(b.head_norm(q, {"attn_q_norm", "self_attn.q_norm"}, h.H, h.D), h.H, rope, Builder::RopeStyle::half);
    k = b.rope(b.head_norm(k, {"attn_k_norm", "self_attn.k_norm"}, h.G, h.D), h.G, rope, Builder::RopeStyle::half);
    x = b.add(x, b.linear(b.attention(q, k, v), {"attn_output", "self_attn.o_proj"}, h.C));
    x = b.add(x, gated_feed_forward(b, b.rms_norm(x, {"ffn_norm", "post_attention_layernorm"}), Op::silu_mul, h));
  }
  return finish_decoder(b, x, h);
}

}  // namespace kinglet
