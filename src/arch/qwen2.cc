// Qwen2 and Qwen2.5: biases on the query, key and value projections. Reference: transformers' modeling_qwen2.py.
#include "arch/decoder.h"

namespace kinglet {

void config_qwen2(ConfigIo& io, Hyper& h) {
  decoder_config(io, h);
  // Sliding windows are off in every published Qwen2.5 configuration (use_sliding_window is false).
  bool sliding = false;
  io.flag(sliding, {"", "use_sliding_window"});
  if (io.reading() && sliding) io.fail(Status(Code::unsupported, "Qwen2 with use_sliding_window is not supported"));
}

Result<ProgramStorage> build_qwen2(Builder& b, const Hyper& h) {
  SlotId x = b.embed(kTokenEmbedding, h.V, h.C);
  const int32_t rope = b.rope_table(h.rope_base, h.rope_scaling);
  for (int64_t layer = 0; layer < h.L; ++layer) {
    b.begin_layer(layer);
    const SlotId normed = b.rms_norm(x, {"attn_norm", "input_layernorm"});
    SlotId q = b.linear(normed, {"attn_q", "self_attn.q_proj"}, h.H * h.D, Bias::yes);
    SlotId k = b.linear(normed, {"attn_k", "self_attn.k_proj"}, h.G * h.D, Bias::yes);
    const SlotId v = b.linear(normed, {"attn_v", "self_attn.v_proj"}, h.G * h.D, Bias::yes);
    q = b.rope(q, h.H, rope, Builder::RopeStyle::half);
    k = b.rope(k, h.G, rope, Builder::RopeStyle::half);
    x = b.add(x, b.linear(b.attention(q, k, v), {"attn_output", "self_attn.o_proj"}, h.C));
    x = b.add(x, gated_feed_forward(b, b.rms_norm(x, {"ffn_norm", "post_attention_layernorm"}), Op::silu_mul, h));
  }
  return finish_decoder(b, x, h);
}

}  // namespace kinglet
