// Gemma 3 (text): five local layers to each global one, two rope bases, normalized queries and keys, norms before and after each
// block with weights stored as w for a factor 1 + w, embeddings scaled by sqrt(C). Reference: transformers' modeling_gemma3.py.
#include <cmath>

#include "arch/decoder.h"
#include "host/error.h"

namespace kinglet {
namespace {

// One global layer follows `pattern - 1` local ones; newer configurations list the layers instead.
void layer_types(ConfigIo& io, Hyper& h) {
  int64_t pattern = 6;
  io.integer(pattern, {"", "sliding_window_pattern"}, ConfigIo::Need::optional);
  io.integer(pattern, {"", "_sliding_window_pattern"}, ConfigIo::Need::optional);
  if (io.reading()) {
    if (pattern <= 0) return io.fail(error(Code::corrupt, "sliding window pattern is {}", pattern));
    h.local_layers.clear();
    for (int64_t layer = 0; layer < h.L; ++layer) h.local_layers.push_back((layer + 1) % pattern != 0);
  }
  std::vector<std::string> types;
  for (bool local : h.local_layers) types.emplace_back(local ? "sliding_attention" : "full_attention");
  io.texts(types, {"", "layer_types"});
  if (types.size() != static_cast<size_t>(h.L))
    return io.fail(error(Code::corrupt, "layer_types names {} layers of {}", types.size(), h.L));
  for (size_t i = 0; i < types.size(); ++i) h.local_layers[i] = types[i] == "sliding_attention";
}

}  // namespace

void config_gemma3(ConfigIo& io, Hyper& h) {
  if (io.reading()) h.tied = true;
  decoder_config(io, h);
  io.integer(h.window, {"attention.sliding_window", "sliding_window"});
  const bool newer = !io.reading() || io.has({"", "rope_parameters"});
  io.real(h.rope_base_local,
          {"rope.freq_base_swa", newer ? "rope_parameters.sliding_attention.rope_theta" : "rope_local_base_freq"},
          ConfigIo::Need::optional);
  std::string local_kind = "default";
  if (newer) io.text(local_kind, {"", "rope_parameters.sliding_attention.rope_type"});
  if (local_kind != "default")
    io.fail(error(Code::unsupported, "Gemma 3 with rope scaling '{}' in its local layers", local_kind));
  std::string type = "gemma3_text";
  if (!io.reading()) io.text(type, {"", "model_type"});
  double query_scalar =
      h.attention_scale > 0 ? 1.0 / (h.attention_scale * h.attention_scale) : static_cast<double>(h.D);
  io.real(query_scalar, {"", "query_pre_attn_scalar"}, ConfigIo::Need::optional);
  if (!(query_scalar > 0)) io.fail(error(Code::corrupt, "query_pre_attn_scalar is {}", query_scalar));
  if (io.reading()) {
    h.attention_scale = 1.0 / std::sqrt(query_scalar);
    h.embedding_scale = std::sqrt(static_cast<double>(h.C));
  }
  if (io.reading() || h.final_softcap > 0)
    io.real(h.final_softcap, {"final_logit_softcapping", "final_logit_softcapping"}, ConfigIo::Need::optional);
  if (io.status().ok()) layer_types(io, h);
}

Result<ProgramStorage> build_gemma3(Builder& b, const Hyper& h) {
  constexpr NormStyle kPlusOne = NormStyle::plus_one;
  SlotId x = b.scale(b.embed(kTokenEmbedding, h.V, h.C), h.embedding_scale);
  const int32_t global_rope = b.rope_table(h.rope_base, h.rope_scaling);
  const int32_t local_rope = b.rope_table(h.rope_base_local, {});
  for (int64_t layer = 0; layer < h.L; ++layer) {
    b.begin_layer(layer);
    const int32_t rope = h.is_local(layer) ? local_rope : global_rope;
    const SlotId normed = b.rms_norm(x, {"attn_norm", "input_layernorm"}, kPlusOne);
    SlotId q = b.linear(normed, {"attn_q", "self_attn.q_proj"}, h.H * h.D);
    SlotId k = b.linear(normed, {"attn_k", "self_attn.k_proj"}, h.G * h.D);
    const SlotId v = b.linear(normed, {"attn_v", "self_attn.v_proj"}, h.G * h.D);
    q = b.rope(b.head_norm(q, {"attn_q_norm", "self_attn.q_norm"}, h.H, h.D, kPlusOne), h.H, rope,
               Builder::RopeStyle::half);
    k = b.rope(b.head_norm(k, {"attn_k_norm", "self_attn.k_norm"}, h.G, h.D, kPlusOne), h.G, rope,
               Builder::RopeStyle::half);
    const SlotId attended = b.linear(b.attention(q, k, v), {"attn_output", "self_attn.o_proj"}, h.C);
    x = b.add(x, b.rms_norm(attended, {"post_attention_norm", "post_attention_layernorm"}, kPlusOne));
    const SlotId fed =
        gated_feed_forward(b, b.rms_norm(x, {"ffn_norm", "pre_feedforward_layernorm"}, kPlusOne), Op::gelu_tanh_mul, h);
    x = b.add(x, b.rms_norm(fed, {"post_ffw_norm", "post_feedforward_layernorm"}, kPlusOne));
  }
  return finish_decoder(b, x, h, kPlusOne);
}

}  // namespace kinglet
