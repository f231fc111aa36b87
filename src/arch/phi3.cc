// Phi-3 mini (4k, 128k), Phi-3.5, Phi-4, Phi-4-reasoning and Phi-4-mini: fused query-key-value and gate-up projections, partial
// rotary, sliding window and longrope as the configuration has them. Reference: transformers' modeling_phi3.py.
#include "arch/decoder.h"

namespace kinglet {

void config_phi3(ConfigIo& io, Hyper& h) {
  decoder_config(io, h);
  // A GGUF of this architecture always names both; a window of 0 tells Phi-4 from its predecessors.
  if (io.reading() || io.is_gguf() || h.window > 0)
    io.integer(h.window, {"attention.sliding_window", "sliding_window"}, ConfigIo::Need::optional);
  int64_t& original = h.rope_scaling.original_context;
  if (!io.reading() && original == 0) original = h.context;
  io.integer(original, {"rope.scaling.original_context_length", "original_max_position_embeddings"},
             ConfigIo::Need::optional);
}

Result<ProgramStorage> build_phi3(Builder& b, const Hyper& h) {
  SlotId x = b.embed(kTokenEmbedding, h.V, h.C);
  const int32_t rope = b.rope_table(h.rope_base, h.rope_scaling);
  const int64_t q_width = h.H * h.D, kv_width = h.G * h.D;
  for (int64_t layer = 0; layer < h.L; ++layer) {
    b.begin_layer(layer);
    const SlotId normed = b.rms_norm(x, {"attn_norm", "input_layernorm"});
    const SlotId qkv = b.linear(normed, {"attn_qkv", "self_attn.qkv_proj"}, q_width + 2 * kv_width);
    const SlotId q = b.rope(b.columns(qkv, 0, q_width), h.H, rope, Builder::RopeStyle::half);
    const SlotId k = b.rope(b.columns(qkv, q_width, kv_width), h.G, rope, Builder::RopeStyle::half);
    const SlotId v = b.columns(qkv, q_width + kv_width, kv_width);
    x = b.add(x, b.linear(b.attention(q, k, v), {"attn_output", "self_attn.o_proj"}, h.C));
    const SlotId gate_up =
        b.linear(b.rms_norm(x, {"ffn_norm", "post_attention_layernorm"}), {"ffn_up", "mlp.gate_up_proj"}, 2 * h.F);
    const SlotId fed = b.gated(Op::silu_mul, b.columns(gate_up, 0, h.F), b.columns(gate_up, h.F, h.F));
    x = b.add(x, b.linear(fed, {"ffn_down", "mlp.down_proj"}, h.C));
  }
  return finish_decoder(b, x, h);
}

}  // namespace kinglet
