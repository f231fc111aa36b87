// What the launches share while a batch runs. Internal to exec/.
#pragma once

#include <algorithm>

#include "exec/forward.h"

namespace kinglet {

struct Walker {
  const Plan& plan;
  std::span<const ParamData> params;
  const Batch& batch;
  std::byte* workspace;
  const Parallel& parallel;

  const Step& step(const Launch& launch, int i) const {
    return plan.program.steps[static_cast<size_t>(launch.steps[i])];
  }
  const KernelTable& kernels() const { return *plan.kernels; }
  const ParamData& param(ParamId id) const { return params[static_cast<size_t>(id)]; }
  /// f32 values of a norm or bias; null for kNone.
  const float* values(ParamId id) const {
    return id == kNone ? nullptr : reinterpret_cast<const float*>(param(id).rows);
  }
  const WeightKernels& weight_kernels(ParamId id) const {
    return kernels().weights[static_cast<size_t>(param(id).panel_dtype)];
  }

  int64_t width(SlotId s) const { return plan.program.slots[static_cast<size_t>(s)].width; }
  Rows rows_of(SlotId s) const { return plan.program.slots[static_cast<size_t>(s)].rows; }
  int64_t rows(Rows which) const {
    return static_cast<int64_t>(which == Rows::tokens ? batch.tokens.size() : batch.outputs.size());
  }
  int64_t rows(SlotId s) const { return rows(rows_of(s)); }
  int64_t stride(SlotId s) const { return plan.places[static_cast<size_t>(s)].stride; }
  float* data(SlotId s) const {
    return reinterpret_cast<float*>(workspace + plan.places[static_cast<size_t>(s)].offset);
  }
  float* row(SlotId s, int64_t i) const { return data(s) + i * stride(s); }
  std::byte* act_row(int64_t i) const { return workspace + plan.act_offset + static_cast<size_t>(i) * plan.act_stride; }
  /// Row i of a slot to act_row(i); f32 stays where it is.
  void convert_row(SlotId s, int64_t i, ActKind kind) const {
    if (const auto convert = kernels().convert(kind))
      convert(row(s, i), stride(s), 1, width(s), act_row(i), plan.act_stride);
  }
  std::byte* scratch(int worker) const {
    return workspace + plan.scratch_offset + static_cast<size_t>(worker) * plan.scratch_stride;
  }
  /// cos, then sin (rotary / 2 each) of a row's position by a rope table.
  float* rope_row(int32_t table, int64_t i) const;

  /// f(first row, rows) for each stretch of rows that a launch computes: all at once, or those of its owner's sequences.
  template <typename F>
  void for_stretches(const Launch& launch, Rows which, F&& f) const {
    if (launch.owner == kNone) return f(int64_t{0}, rows(which));
    int64_t begin = 0, end = 0;  // of the stretch so far
    int64_t row = 0;
    for (const BatchSequence& s : batch.sequences) {
      const int64_t first = row;
      row = which == Rows::tokens ? first + s.tokens : outputs_before(s.first_row + s.tokens);
      if (s.adapter != launch.owner || row == first) continue;
      if (first != end && end > begin) f(begin, end - begin);
      if (first != end) begin = first;
      end = row;
    }
    if (end > begin) f(begin, end - begin);
  }
  /// How many outputs lie before a row of the batch.
  int64_t outputs_before(int64_t batch_row) const {
    return std::ranges::lower_bound(batch.outputs, batch_row) - batch.outputs.begin();
  }

  /// f(row) over [0, n) rows in parallel, or here where there is too little to do.
  template <typename F>
  void for_rows(int64_t n, F&& f) const {
    constexpr int64_t kFewRows = 4;
    if (n < kFewRows || parallel.workers == 1) {
      for (int64_t i = 0; i < n; ++i) f(i);
      return;
    }
    const int64_t chunk = std::max<int64_t>(1, n / (4 * parallel.workers));
    parallel.for_each(ceil_div(n, chunk), [&](int64_t c, int) {
      for (int64_t i = c * chunk; i < std::min(n, (c + 1) * chunk); ++i) f(i);
    });
  }
};

void fill_rope_rows(const Walker& w);
void run_linear(const Walker& w, const Launch& launch);
void run_gated_linear(const Walker& w, const Launch& launch);
void run_rope(const Walker& w, const Step& step);
void run_rope_store(const Walker& w, const Launch& launch);
void run_attention(const Walker& w, const Launch& launch);

/// One row of a norm step.
void norm_row(const Walker& w, const Step& step, int64_t i);

}  // namespace kinglet
