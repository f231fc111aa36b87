// DoRA's norms: lengths of the rows of W + scale B A.
#include <algorithm>
#include <cmath>

#include "arch/adapter.h"
#include "host/error.h"
#include "host/threads.h"
#include "kernels/kernels.h"

namespace kinglet {
namespace {

double dot(const float* a, const float* b, int64_t n) {
  double sums[8] = {};  // a fixed order that vector units can follow
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int64_t j = 0; j < 8; ++j) sums[j] += double{a[i + j]} * double{b[i + j]};
  for (; i < n; ++i) sums[0] += double{a[i]} * double{b[i]};
  double total = 0;
  for (const double s : sums) total += s;
  return total;
}

}  // namespace

std::vector<double> row_products(std::span<const float> a, int64_t R) {
  const int64_t K = static_cast<int64_t>(a.size()) / R;
  std::vector<double> out(static_cast<size_t>(R * R));
  for (int64_t r = 0; r < R; ++r)
    for (int64_t q = 0; q <= r; ++q)
      out[static_cast<size_t>(r * R + q)] = out[static_cast<size_t>(q * R + r)] =
          dot(a.data() + r * K, a.data() + q * K, K);
  return out;
}

double adapted_square(double square, ColumnView aw, std::span<const double> gram, std::span<const float> b,
                      double scale) {
  const size_t R = b.size();
  double cross = 0, own = 0;
  for (size_t r = 0; r < R; ++r) {
    cross += double{b[r]} * double{aw.data[static_cast<int64_t>(r) * aw.stride]};
    double sum = 0;
    for (size_t q = 0; q < R; ++q) sum += gram[r * R + q] * double{b[q]};
    own += double{b[r]} * sum;
  }
  return std::max(square + 2 * scale * cross + scale * scale * own, 0.0);
}

Result<std::vector<double>> adapted_norms(const LoraPair& pair, const ModelSpec& spec, const Checkpoint& base) {
  const ParamInfo& info = spec.program.params[static_cast<size_t>(pair.base)];
  KL_ASSIGN(const TensorView tensor, find_param(base, info));
  const DequantizeRow convert = dequantize_row(tensor.dtype);
  const int64_t N = info.shape[0], K = info.shape[1];
  const auto bytes = row_bytes(tensor.dtype, static_cast<uint64_t>(K));
  if (convert == nullptr || !bytes) return error(Code::unsupported, "tensor {} is {}", info.hf, name(tensor.dtype));
  const std::vector<double> gram = row_products(pair.a, pair.R);
  std::vector<double> out(static_cast<size_t>(N));
  constexpr int64_t kRows = 32;
  ThreadPool pool(ThreadPool::available());
  pool.parallel().for_each(ceil_div(N, kRows), [&](int64_t chunk, int) {
    std::vector<std::byte> aligned(*bytes);  // old safetensors files do not align their data
    std::vector<float> w(static_cast<size_t>(K)), aw(static_cast<size_t>(pair.R));
    for (int64_t n = chunk * kRows; n < std::min(N, (chunk + 1) * kRows); ++n) {
      std::copy_n(tensor.data.data() + static_cast<size_t>(n) * *bytes, *bytes, aligned.data());
      convert(aligned.data(), K, w.data());
      for (int64_t r = 0; r < pair.R; ++r)
        aw[static_cast<size_t>(r)] = static_cast<float>(dot(pair.a.data() + r * K, w.data(), K));
      const auto b = std::span(pair.b).subspan(static_cast<size_t>(n * pair.R), static_cast<size_t>(pair.R));
      out[static_cast<size_t>(n)] =
          std::sqrt(adapted_square(dot(w.data(), w.data(), K), {aw.data(), 1}, gram, b, double{pair.scale}));
    }
  });
  return out;
}

Status set_gains(Adapter& adapter, const ModelSpec& spec, const Checkpoint& base) {
  for (LoraPair& pair : adapter.pairs) {
    if (!pair.is_dora()) continue;
    KL_ASSIGN(const std::vector<double> norms, adapted_norms(pair, spec, base));
    pair.gain.resize(norms.size());
    for (size_t n = 0; n < norms.size(); ++n) {
      pair.gain[n] = static_cast<float>(double{pair.magnitude[n]} / norms[n]);
      if (!std::isfinite(pair.gain[n]))
        return error(Code::corrupt, "{}: row {} of the adapted {} has no length", adapter.path, n,
                     spec.program.params[static_cast<size_t>(pair.base)].hf);
    }
  }
  return ok_status();
}

}  // namespace kinglet
