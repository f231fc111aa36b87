#include "engine/weights.h"

#include <cmath>

#include "host/error.h"

namespace kinglet {
namespace {

bool is_vector(const ParamInfo& p) { return p.kind == ParamKind::norm || p.kind == ParamKind::bias; }

Status fill_vector(const ParamInfo& info, const TensorView& tensor, bool from_hf, float* out) {
  const DequantizeRow dequantize = dequantize_row(tensor.dtype);
  if (dequantize == nullptr || is_quantized(tensor.dtype))
    return error(Code::unsupported, "tensor {} is {}; norms and biases are f32, f16 or bf16", info.gguf,
                 name(tensor.dtype));
  const int64_t n = info.shape[0];
  dequantize(tensor.data.data(), n, out);
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(out[i]))
      return error(Code::corrupt, "tensor {} holds a value that is not finite (index {})",
                   from_hf ? info.hf : info.gguf, i);
    if (info.plus_one && from_hf) out[i] += 1.0f;
  }
  return ok_status();
}

ParamData adapter_values(const ParamInfo& p) {
  if (p.shape.rank == 1) return {.dtype = DType::f32, .rows = std::as_bytes(p.values).data()};
  const size_t row_bytes = static_cast<size_t>(p.shape[1]) * sizeof(float);
  return {.dtype = DType::f32,
          .rows = std::as_bytes(p.values).data(),
          .row_bytes = row_bytes,
          .panel_bytes = row_bytes * kPanelRows};
}

}  // namespace

Result<Weights> Weights::load(const Checkpoint& checkpoint, const ProgramStorage& program, const KernelTable& kernels,
                              Ledger& ledger) {
  Weights out;
  uint64_t floats = 0;
  for (const ParamInfo& p : program.params)
    if (is_vector(p)) floats += static_cast<uint64_t>(round_up<int64_t>(p.shape[0], 16));
  KL_ASSIGN(out.values_, Block::allocate(floats * sizeof(float), MemoryUse::weights, ledger));
  auto* next = reinterpret_cast<float*>(out.values_.data());
  const bool from_hf = checkpoint.kind() == Checkpoint::Kind::hugging_face;
  for (const ParamInfo& p : program.params) {
    if (!p.values.empty()) {
      out.params_.push_back(adapter_values(p));
      continue;
    }
    KL_ASSIGN(const TensorView tensor, find_param(checkpoint, p));
    ParamData data{.dtype = tensor.dtype};
    if (is_vector(p)) {
      KL_TRY(fill_vector(p, tensor, from_hf, next));
      data = {.dtype = DType::f32, .rows = reinterpret_cast<const std::byte*>(next)};
      next += round_up<int64_t>(p.shape[0], 16);
    } else {
      const WeightKernels& k = kernels.weights[static_cast<size_t>(tensor.dtype)];
      if (k.matmul == nullptr || dequantize_row(tensor.dtype) == nullptr)
        return error(Code::unsupported, "tensor {}: no kernel multiplies {}", from_hf ? p.hf : p.gguf,
                     name(tensor.dtype));
      data.rows = tensor.data.data();
      data.row_bytes = *row_bytes(tensor.dtype, static_cast<uint64_t>(p.shape[1]));  // the reader has checked it
      data.panel_bytes = data.row_bytes * kPanelRows;
      out.all_f32_ = out.all_f32_ && tensor.dtype == DType::f32;
      out.linear_bytes_ += tensor.data.size();
    }
    out.params_.push_back(data);
  }
  return out;
}

}  // namespace kinglet
