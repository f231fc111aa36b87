#include "convert/param_rows.h"

#include <algorithm>
#include <cstring>

#include "host/error.h"

namespace kinglet::convert {

Result<ParamRows> ParamRows::open(const Checkpoint& source, const ParamInfo& param, Layout to) {
  KL_ASSIGN(const TensorView tensor, find_param(source, param));
  ParamRows out(tensor);
  const Layout from = source.kind() == Checkpoint::Kind::gguf ? Layout::gguf : Layout::hugging_face;
  if (from == to) return out;
  if (param.interleaved_heads > 0) {
    out.head_rows_ = param.shape.rows() / param.interleaved_heads;
    out.order_ = to == Layout::gguf ? RowOrder::interleaved : RowOrder::halves;
  }
  if (param.plus_one) out.shift_ = to == Layout::gguf ? 1.0f : -1.0f;
  return out;
}

ParamRows ParamRows::plain(const TensorView& tensor) { return ParamRows(tensor); }

int64_t ParamRows::source_row(int64_t row) const {
  return head_rows_ == 0 ? row : kinglet::source_row(row, head_rows_, order_);
}

/// values (K) += scale B[row] A, and then DoRA's gain.
void ParamRows::add_product(int64_t row, std::vector<float>& values) const {
  const size_t K = values.size();
  for (int64_t r = 0; r < pair_->R; ++r) {
    const float factor = pair_->scale * pair_->b[static_cast<size_t>(row * pair_->R + r)];
    const float* a = pair_->a.data() + static_cast<size_t>(r) * K;
    for (size_t k = 0; k < K; ++k) values[k] += factor * a[k];
  }
  if (!pair_->is_dora()) return;
  for (float& v : values) v *= pair_->gain[static_cast<size_t>(row)];
}

Status ParamRows::write(DType type, const std::function<Status(std::span<const std::byte>)>& sink) const {
  const bool same = type == tensor_.dtype && shift_ == 0 && pair_ == nullptr;
  if (same && head_rows_ == 0) return sink(tensor_.data);
  const int64_t width = tensor_.shape.inner(), rows = tensor_.shape.rows();
  if (rows <= 0 || width <= 0) return ok_status();
  const DequantizeRow dequantize = dequantize_row(tensor_.dtype);
  const QuantizeRow quantize = quantize_row(type);
  const auto in_bytes = row_bytes(tensor_.dtype, static_cast<uint64_t>(width));
  const auto out_bytes = row_bytes(type, static_cast<uint64_t>(width));
  if (!in_bytes || !out_bytes || (!same && (!dequantize || !quantize))) {
    return error(Code::unsupported, "{} rows of {} values cannot become {}", name(tensor_.dtype), width, name(type));
  }
  const int64_t chunk = std::max<int64_t>(1, (int64_t{4} << 20) / static_cast<int64_t>(*out_bytes));
  std::vector<std::byte> buffer, aligned(*in_bytes);
  std::vector<float> values(static_cast<size_t>(width));
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const int64_t end = std::min(rows, begin + chunk);
    buffer.resize(static_cast<size_t>(end - begin) * *out_bytes);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t source = source_row(row);
      const std::byte* in = tensor_.data.data() + static_cast<size_t>(source) * *in_bytes;
      std::byte* out = buffer.data() + static_cast<size_t>(row - begin) * *out_bytes;
      if (same) {
        std::memcpy(out, in, *in_bytes);
      } else {
        std::memcpy(aligned.data(), in, *in_bytes);  // old safetensors files do not align their data
        dequantize(aligned.data(), width, values.data());
        if (shift_ != 0)
          for (float& v : values) v += shift_;
        if (pair_ != nullptr) add_product(source, values);
        quantize(values.data(), width, out);
      }
    }
    KL_TRY(sink(buffer));
  }
  return ok_status();
}

Result<ParamRows> open_rows(const Checkpoint& source, const ModelSpec& spec, const ParamInfo& param, Layout to,
                            const ConvertOptions& options) {
  KL_ASSIGN(ParamRows rows, ParamRows::open(source, param, to));
  if (options.replaced)
    if (const auto tensor = options.replaced(param)) rows.replace(*tensor);
  if (options.adapter == nullptr) return rows;
  for (const LoraPair& pair : options.adapter->pairs)
    if (&spec.program.params[static_cast<size_t>(pair.base)] == &param) rows.add(pair);
  return rows;
}

}  // namespace kinglet::convert
