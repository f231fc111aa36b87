#include "arch/builder.h"

#include <cmath>

#include "arch/rope.h"
#include "host/error.h"

namespace kinglet {

SlotId Builder::new_slot(int64_t width, Rows rows) {
  p_.slots.push_back({static_cast<int32_t>(width), kNone, 0, rows});
  return static_cast<SlotId>(p_.slots.size() - 1);
}

Step& Builder::append(Op op, SlotId a, SlotId b, SlotId c) {
  Step step{.op = op, .layer = static_cast<int16_t>(layer_)};
  step.in[0] = a;
  step.in[1] = b;
  step.in[2] = c;
  p_.steps.push_back(step);
  return p_.steps.back();
}

SlotId Builder::unary(Op op, SlotId x, int64_t width, Attr attr, ParamId weight, ParamId bias) {
  const SlotId out = new_slot(width, rows(x));
  Step& step = append(op, x);
  step.out = out;
  step.attr = attr;
  step.weight = weight;
  step.bias = bias;
  return out;
}

ParamId Builder::param(Names names, std::string_view suffix, Shape shape, ParamKind kind) {
  ParamInfo info{.shape = shape, .kind = kind, .layer = layer_};
  if (layer_ == kNone) {
    info.gguf = fmt::format("{}.{}", names.gguf, suffix);
    info.hf = fmt::format("{}.{}", names.hf, suffix);
  } else {
    info.gguf = fmt::format("blk.{}.{}.{}", layer_, names.gguf, suffix);
    info.hf = fmt::format("model.layers.{}.{}.{}", layer_, names.hf, suffix);
  }
  for (size_t i = 0; i < p_.params.size(); ++i)
    if (p_.params[i].gguf == info.gguf) return static_cast<ParamId>(i);  // shared: the same id
  p_.params.push_back(std::move(info));
  p_.shapes.push_back({shape});
  return static_cast<ParamId>(p_.params.size() - 1);
}

SlotId Builder::embed(Names names, int64_t vocabulary, int64_t width) {
  const SlotId out = new_slot(width, Rows::tokens);
  const ParamId weight = param(names, "weight", {vocabulary, width}, ParamKind::embedding);
  Step& step = append(Op::embed);
  step.out = out;
  step.weight = weight;
  return out;
}

SlotId Builder::rms_norm(SlotId x, Names names, NormStyle style) {
  const ParamId weight = param(names, "weight", {width(x)}, ParamKind::norm);
  p_.params[static_cast<size_t>(weight)].plus_one = style == NormStyle::plus_one;
  return unary(Op::rms_norm, x, width(x), {.eps = static_cast<float>(h_.norm_eps)}, weight);
}

SlotId Builder::head_norm(SlotId x, Names names, int64_t heads, int64_t head_width, NormStyle style) {
  const ParamId weight = param(names, "weight", {head_width}, ParamKind::norm);
  p_.params[static_cast<size_t>(weight)].plus_one = style == NormStyle::plus_one;
  return unary(Op::rms_norm, x, width(x),
               {.eps = static_cast<float>(h_.norm_eps),
                .heads = static_cast<int32_t>(heads),
                .head_width = static_cast<int32_t>(head_width)},
               weight);
}

SlotId Builder::linear(SlotId x, Names names, int64_t out_width, Bias bias) {
  const ParamId weight = param(names, "weight", {out_width, width(x)}, ParamKind::linear);
  const ParamId b = bias == Bias::yes ? param(names, "bias", {out_width}, ParamKind::bias) : kNone;
  return unary(Op::linear, x, out_width, {}, weight, b);
}

SlotId Builder::rope_linear(SlotId x, Names names, int64_t heads, int64_t head_width) {
  const SlotId out = linear(x, names, heads * head_width);
  p_.params[static_cast<size_t>(p_.steps.back().weight)].interleaved_heads = static_cast<int32_t>(heads);
  return out;
}

SlotId Builder::head(SlotId x, Names names, Names embedding, bool tied) {
  const ParamId weight = param(tied ? embedding : names, "weight", {h_.V, width(x)}, ParamKind::linear);
  return unary(Op::linear, x, h_.V, {}, weight);
}

SlotId Builder::columns(SlotId x, int64_t offset, int64_t w) {
  p_.slots.push_back({static_cast<int32_t>(w), x, static_cast<int32_t>(offset), rows(x)});
  return static_cast<SlotId>(p_.slots.size() - 1);
}

int32_t Builder::rope_table(double base, const RopeScaling& scaling) {
  RopeFrequencies f = rope_frequencies(base, h_.rotary(), h_.context, scaling);
  p_.rope_values.push_back(std::move(f.freq));
  const std::span<const float> freq = p_.rope_values.back();
  p_.rope_values.push_back(std::move(f.long_freq));
  p_.ropes.push_back({freq, p_.rope_values.back(), scaling.original_context, f.magnitude});
  return static_cast<int32_t>(p_.ropes.size() - 1);
}

SlotId Builder::rope(SlotId x, int64_t heads, int32_t table, RopeStyle style) {
  return unary(Op::rope, x, width(x),
               {.heads = static_cast<int32_t>(heads),
                .head_width = static_cast<int32_t>(h_.D),
                .rotary = static_cast<int32_t>(h_.rotary()),
                .rope = table,
                .interleaved = style == RopeStyle::as_stored && gguf_});
}

SlotId Builder::attention(SlotId q, SlotId k, SlotId v) {
  const SlotId out = new_slot(h_.H * h_.D, Rows::tokens);
  Step& step = append(Op::attention, q, k, v);
  step.out = out;
  step.attr.scale =
      static_cast<float>(h_.attention_scale > 0 ? h_.attention_scale : 1.0 / std::sqrt(static_cast<double>(h_.D)));
  step.attr.heads = static_cast<int32_t>(h_.H);
  step.attr.kv_heads = static_cast<int32_t>(h_.G);
  step.attr.head_width = static_cast<int32_t>(h_.D);
  step.attr.kv_layer = p_.kv_layers++;
  step.attr.window = h_.is_local(layer_) ? static_cast<int32_t>(h_.window) : 0;
  return out;
}

SlotId Builder::gated(Op op, SlotId gate, SlotId up) {
  const SlotId out = new_slot(width(gate), rows(gate));
  append(op, gate, up).out = out;
  return out;
}

SlotId Builder::add(SlotId a, SlotId b) {
  const SlotId out = new_slot(width(a), rows(a));
  append(Op::add, a, b).out = out;
  return out;
}

SlotId Builder::scale(SlotId x, double factor) {
  return factor == 1.0 ? x : unary(Op::scale, x, width(x), {.factor = static_cast<float>(factor)});
}

SlotId Builder::softcap(SlotId x, double cap) {
  return cap == 0.0 ? x : unary(Op::softcap, x, width(x), {.softcap = static_cast<float>(cap)});
}

SlotId Builder::select_outputs(SlotId x) {
  const SlotId out = new_slot(width(x), Rows::outputs);
  append(Op::select, x).out = out;
  return out;
}

Result<ProgramStorage> Builder::finish(SlotId logits, SlotId hidden) {
  p_.logits = logits;
  p_.hidden = hidden;
  p_.kv_heads = static_cast<int32_t>(h_.G);
  p_.head_width = static_cast<int32_t>(h_.D);
  KL_TRY(validate(p_.view()));
  return std::move(p_);
}

}  // namespace kinglet
