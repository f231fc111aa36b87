#include "arch/decoder.h"

#include <cmath>

#include "arch/rope.h"
#include "host/error.h"

namespace kinglet {
namespace {

using Need = ConfigIo::Need;

void check(ConfigIo& io, const Hyper& h) {
  constexpr int64_t kMost = int64_t{1} << 24;  // far above any model, far below where products overflow
  const struct {
    int64_t value;
    const char* what;
  } widths[] = {{h.V, "vocabulary size"},   {h.C, "model width"},          {h.L, "layer count"},
                {h.H, "query head count"},  {h.G, "key-value head count"}, {h.D, "head width"},
                {h.F, "feed-forward width"}};
  for (const auto& w : widths)
    if (w.value <= 0 || w.value > kMost)
      return io.fail(error(Code::corrupt, "the configuration's {} is {}", w.what, w.value));
  if (h.L > 1024) return io.fail(error(Code::corrupt, "the configuration's layer count is {}", h.L));
  if (h.H > 4096 || h.D > 4096 || h.F > (int64_t{1} << 22))
    return io.fail(error(Code::corrupt, "the configuration's widths are too large"));
  if (h.H % h.G != 0)
    return io.fail(error(Code::corrupt, "{} query heads are no multiple of {} key-value heads", h.H, h.G));
  if (h.context <= 0) return io.fail(error(Code::corrupt, "the configuration's context length is {}", h.context));
  if (!(h.norm_eps >= 0 && h.norm_eps < 1))
    io.fail(error(Code::corrupt, "the configuration's norm epsilon is {}", h.norm_eps));
}

}  // namespace

void decoder_config(ConfigIo& io, Hyper& h) {
  io.integer(h.context, {"context_length", "max_position_embeddings"});
  io.integer(h.C, {"embedding_length", "hidden_size"});
  io.integer(h.L, {"block_count", "num_hidden_layers"});
  io.integer(h.F, {"feed_forward_length", "intermediate_size"});
  io.integer(h.H, {"attention.head_count", "num_attention_heads"});
  if (io.reading()) h.G = h.H;
  io.integer(h.G, {"attention.head_count_kv", "num_key_value_heads"}, Need::optional);
  io.real(h.norm_eps, {"attention.layer_norm_rms_epsilon", "rms_norm_eps"});
  io.integer(h.V, {"vocab_size", "vocab_size"}, Need::optional);
  if (io.reading()) h.D = h.H > 0 ? h.C / h.H : 0;
  io.integer(h.D, {"attention.key_length", "head_dim"}, Need::optional);
  int64_t value_width = h.D;
  io.integer(value_width, {"attention.value_length", ""}, Need::optional);
  if (io.reading() && value_width != h.D)
    io.fail(error(Code::unsupported, "value heads of {} beside key heads of {}", value_width, h.D));
  io.flag(h.tied, {"", "tie_word_embeddings"});
  if (io.reading()) check(io, h);
  rope_config(io, h);
}

SlotId gated_feed_forward(Builder& b, SlotId x, Op op, const Hyper& h) {
  const SlotId gate = b.linear(x, {"ffn_gate", "mlp.gate_proj"}, h.F);
  const SlotId up = b.linear(x, {"ffn_up", "mlp.up_proj"}, h.F);
  return b.linear(b.gated(op, gate, up), {"ffn_down", "mlp.down_proj"}, h.C);
}

Result<ProgramStorage> finish_decoder(Builder& b, SlotId x, const Hyper& h, NormStyle style) {
  b.end_layers();
  const SlotId hidden = b.rms_norm(b.select_outputs(x), kOutputNorm, style);
  SlotId logits = b.head(hidden, kOutputHead, kTokenEmbedding, h.tied);
  logits = b.scale(logits, 1.0 / h.logit_scale);
  logits = b.softcap(logits, h.final_softcap);
  return b.finish(logits, hidden);
}

}  // namespace kinglet
