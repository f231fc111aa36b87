#include "exec/forward.h"

#include <cstring>

#include "exec/walker.h"

namespace kinglet {
namespace {

Status check(const Plan& plan, const Batch& batch) {
  const auto T = static_cast<int64_t>(batch.tokens.size()), R = static_cast<int64_t>(batch.outputs.size());
  if (T > plan.options.max_tokens || R > plan.options.max_outputs)
    return Status(Code::out_of_range, "a batch of ")
        .append(T)
        .append(" tokens and ")
        .append(R)
        .append(" outputs is beyond the plan");
  for (int32_t out : batch.outputs)
    if (out < 0 || out >= T) return Status(Code::out_of_range, "an output row outside the batch");
  int64_t row = 0;
  for (const BatchSequence& s : batch.sequences) {
    if (s.first_row != row || s.tokens <= 0)
      return Status(Code::out_of_range, "sequences must cover the batch in order");
    if (s.position < 0 || s.position + s.tokens > plan.options.max_context)
      return Status(Code::out_of_range, "position ")
          .append(s.position + s.tokens)
          .append(" is beyond the context of ")
          .append(plan.options.max_context);
    row += s.tokens;
  }
  return row == T ? ok_status() : Status(Code::out_of_range, "sequences must cover the batch in order");
}

/// By stretches of tokens: whoever maps the table can let go of what one has read before the next one reads.
void run_embed(const Walker& w, const Step& step) {
  constexpr int64_t kStretch = 32;
  const ParamData& table = w.param(step.weight);
  const DequantizeRow dequantize = dequantize_row(table.dtype);
  const int64_t T = w.rows(step.out);
  for (int64_t first = 0; first < T; first += kStretch) {
    const int64_t count = first + kStretch < T ? kStretch : T - first;
    w.for_rows(count, [&](int64_t i) {
      const auto id = static_cast<size_t>(w.batch.tokens[static_cast<size_t>(first + i)]);
      dequantize(table.rows + id * table.row_bytes, w.width(step.out), w.row(step.out, first + i));
    });
    if (const EmbeddingObserver* told = w.batch.embedding)
      told->tokens_embedded(told->self, static_cast<size_t>(count));
  }
}

void run_norm(const Walker& w, const Launch& launch) {
  const Step& step = w.step(launch, 0);
  w.for_rows(w.rows(step.out), [&](int64_t i) {
    norm_row(w, step, i);
    w.convert_row(step.out, i, launch.convert_out);
  });
}

void elementwise_row(const Walker& w, const Step& s, int64_t i) {
  const KernelTable& k = w.kernels();
  const float* a = w.row(s.in[0], i);
  const float* b = s.in[1] == kNone ? nullptr : w.row(s.in[1], i);
  float* out = w.row(s.out, i);
  const int64_t n = w.width(s.out);
  switch (s.op) {
    case Op::silu_mul:
      return k.silu_mul(a, b, n, out);
    case Op::gelu_tanh_mul:
      return k.gelu_tanh_mul(a, b, n, out);
    case Op::gelu_mul:
      return k.gelu_mul(a, b, n, out);
    case Op::add:
      return k.add(a, b, n, out);
    case Op::scale:
      return k.scale(a, s.attr.factor, n, out);
    case Op::gain:
      return k.gain(a, w.values(s.weight), s.bias == kNone ? nullptr : w.values(s.bias), n, out);
    case Op::softcap:
      return k.softcap(a, s.attr.softcap, n, out);
    case Op::embed:
    case Op::rms_norm:
    case Op::layer_norm:
    case Op::linear:
    case Op::rope:
    case Op::attention:
    case Op::select:
      return;  // launches of their own
  }
}

void run_select(const Walker& w, const Step& s) {
  for (int64_t i = 0; i < w.rows(s.out); ++i)
    std::memcpy(w.row(s.out, i), w.row(s.in[0], w.batch.outputs[static_cast<size_t>(i)]),
                static_cast<size_t>(w.width(s.out)) * sizeof(float));
}

// A sum for one adapter's rows leaves the others as they were: mostly it lies in the place of its first input.
void run_elementwise(const Walker& w, const Launch& launch) {
  const Step& s = w.step(launch, 0);
  if (launch.owner != kNone && s.op == Op::add && w.data(s.out) != w.data(s.in[0])) {
    const size_t bytes = static_cast<size_t>(w.width(s.out)) * sizeof(float);
    w.for_rows(w.rows(s.out), [&](int64_t i) { std::memcpy(w.row(s.out, i), w.row(s.in[0], i), bytes); });
  }
  w.for_stretches(launch, w.rows_of(s.out), [&](int64_t first, int64_t count) {
    w.for_rows(count, [&](int64_t i) { elementwise_row(w, s, first + i); });
  });
}

void run(const Walker& w, const Launch& launch) {
  const Step& first = w.step(launch, 0);
  switch (launch.kind) {
    case LaunchKind::embed:
      return run_embed(w, first);
    case LaunchKind::norm:
      return run_norm(w, launch);
    case LaunchKind::linear:
      return run_linear(w, launch);
    case LaunchKind::gated_linear:
      return run_gated_linear(w, launch);
    case LaunchKind::rope:
      return run_rope(w, first);
    case LaunchKind::rope_store:
      return run_rope_store(w, launch);
    case LaunchKind::attention:
      return run_attention(w, launch);
    case LaunchKind::elementwise:
      return run_elementwise(w, launch);
    case LaunchKind::select:
      return run_select(w, first);
  }
}

}  // namespace

void norm_row(const Walker& w, const Step& s, int64_t i) {
  const float* x = w.row(s.in[0], i);
  float* out = w.row(s.out, i);
  const KernelTable& k = w.kernels();
  if (s.op == Op::layer_norm)
    return k.layer_norm(x, w.values(s.weight), w.values(s.bias), s.attr.eps, w.width(s.out), out);
  if (s.attr.heads == 0) return k.rms_norm(x, w.values(s.weight), s.attr.eps, w.width(s.out), out);
  const int64_t D = s.attr.head_width;
  for (int64_t h = 0; h < s.attr.heads; ++h) k.rms_norm(x + h * D, w.values(s.weight), s.attr.eps, D, out + h * D);
}

Status forward(const Plan& plan, std::span<const ParamData> params, const Batch& batch, std::byte* workspace,
               const Parallel& parallel) {
  KL_TRY(check(plan, batch));
  for (const Step& s : plan.program.steps) {
    if (s.op != Op::embed) continue;
    const int64_t V = plan.program.params[static_cast<size_t>(s.weight)].shape[0];
    for (int32_t id : batch.tokens)
      if (id < 0 || id >= V)
        return Status(Code::out_of_range, "token ").append(id).append(" is outside the vocabulary of ").append(V);
  }
  const Walker walker{plan, params, batch, workspace, parallel};
  fill_rope_rows(walker);
  for (const Launch& launch : plan.launches) {
    if (batch.watch != nullptr && !batch.watch->keep_going(batch.watch->self))
      return Status(Code::cancelled, "stopped inside a batch");
    run(walker, launch);
  }
  return ok_status();
}

const float* output_row(const Plan& plan, const std::byte* workspace, SlotId slot, int64_t row) {
  const Place& place = plan.places[static_cast<size_t>(slot)];
  return reinterpret_cast<const float*>(workspace + place.offset) + row * place.stride;
}

}  // namespace kinglet
