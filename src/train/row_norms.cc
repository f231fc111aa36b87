#include "train/row_norms.h"

#include <algorithm>
#include <cmath>

#include "arch/adapter.h"

namespace kinglet::train {

RowNorms::RowNorms(const ProgramStorage& program, const Parameters& parameters, const Products& products,
                   const Parallel& parallel) {
  for (size_t i = 0; i < program.params.size(); ++i) {
    const AdaptedRows& rows = program.params[i].norms;
    if (rows.base == kNone) continue;
    of_param_.resize(program.params.size(), kNone);
    of_param_[i] = static_cast<int32_t>(entries_.size());
    const auto N = static_cast<size_t>(program.params[i].shape[0]);
    Entry entry{.magnitude = static_cast<ParamId>(i), .rows = rows};
    entry.squares.resize(N);
    entry.gains.resize(N);
    entry.inverse.resize(N);
    products.row_squares(parameters[rows.base], entry.squares);
    entries_.push_back(std::move(entry));
  }
  update(parameters, products, parallel);
}

// |w + s b A|^2 = |w|^2 + 2 s b (A w) + s^2 b (A A^T) b for a row w of W and b of B, so W is read by one product with A.
void RowNorms::update(const Parameters& parameters, const Products& products, const Parallel& parallel) {
  constexpr int64_t kRows = 256;
  for (Entry& entry : entries_) {
    const Parameter &w = parameters[entry.rows.base], &a = parameters[entry.rows.a], &b = parameters[entry.rows.b];
    const int64_t N = w.shape[0], K = w.shape[1], R = a.shape[0];
    products_.resize(static_cast<size_t>(R * N));
    products.forward_f32({const_cast<float*>(a.values.data()), K, R, K}, w, {products_.data(), N, R, N}, Write::store);
    const std::vector<double> gram = row_products(a.values, R);
    const std::span<const float> m = parameters[entry.magnitude].values;
    parallel.for_each(ceil_div(N, kRows), [&](int64_t chunk, int) {
      for (int64_t n = chunk * kRows; n < std::min(N, (chunk + 1) * kRows); ++n) {
        const auto at = static_cast<size_t>(n);
        const double square = adapted_square(entry.squares[at], {products_.data() + n, N}, gram,
                                             b.values.subspan(static_cast<size_t>(n * R), static_cast<size_t>(R)),
                                             double{entry.rows.scale});
        entry.inverse[at] = static_cast<float>(1 / std::sqrt(square));
        entry.gains[at] = m[at] * entry.inverse[at];
      }
    });
  }
}

}  // namespace kinglet::train
