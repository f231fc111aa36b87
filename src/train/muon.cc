// Muon (Jordan 2024): the momentum of a layer's matrix with all its singular values near one, by five Newton-Schulz iterations,
// scaled so that AdamW's learning rate and weight decay carry over ("Muon is scalable for LLM training", Liu et al. 2025). AdamW
// has what is no such matrix: embeddings, the output head, norms, biases.
#include <algorithm>
#include <cmath>

#include "host/error.h"
#include "train/optimizer_kinds.h"
#include "train/product.h"

namespace kinglet::train {
namespace {

constexpr float kMomentum = 0.95f;
constexpr int kIterations = 5;
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;  // x -> a x + b x^3 + c x^5 of each singular value
constexpr double kTiny = 1e-7;
constexpr double kUpdateSize = 0.2;  // root mean square of AdamW's updates, in practice

struct Size {
  size_t rows, columns;
  size_t values() const { return rows * columns; }
  size_t narrow() const { return std::min(rows, columns); }
};
Size size_of(const Shape& shape) { return {static_cast<size_t>(shape.rows()), static_cast<size_t>(shape.inner())}; }

/// Values that the largest of some matrices has, and the largest of their Gram matrices.
struct Scratch {
  explicit Scratch(std::span<const Shape> matrices) {
    for (const Shape& shape : matrices) {
      const Size s = size_of(shape);
      values = std::max(values, s.values());
      grams = std::max(grams, s.narrow() * s.narrow());
    }
  }
  size_t values = 0, grams = 0;
};

template <typename F>
void in_pieces(size_t count, const Parallel& parallel, const F& f) {
  parallel.for_each(static_cast<int64_t>(ceil_div(count, kPieceValues)), [&](int64_t i, int) {
    const size_t begin = static_cast<size_t>(i) * kPieceValues;
    f(static_cast<size_t>(i), begin, std::min(count, begin + kPieceValues));
  });
}

/// Where matrices are made orthogonal, one after the other: X and its successor (M, N), M <= N, their Gram matrix (M, M) and a
/// polynomial of it.
class Orthogonal {
 public:
  Orthogonal(Products products, const Parallel& parallel, const Scratch& scratch)
      : products_(std::move(products)),
        parallel_(parallel),
        x_(scratch.values),
        next_(scratch.values),
        gram_(scratch.grams),
        polynomial_(scratch.grams) {}

  /// The place of an element of the matrix in x(): a tall one lies transposed.
  static size_t place(const Size& s, size_t i) {
    return s.rows <= s.columns ? i : i % s.columns * s.rows + i / s.columns;
  }
  std::vector<float>& x() { return x_; }

  /// x() becomes U V^T of its U S V^T, nearly: singular values from 0.7 to 1.2 where they were not tiny.
  void run(const Size& s) {
    const size_t M = s.narrow(), N = s.values() / M;
    normalize(s.values());
    for (int i = 0; i < kIterations; ++i) {
      const Matrix x = matrix(x_, M, N), gram = matrix(gram_, M, M), polynomial = matrix(polynomial_, M, M);
      products_.forward(x, weight(x_, M, N), nullptr, gram, Write::store);
      products_.forward(gram, weight(gram_, M, M), nullptr, polynomial, Write::store);
      in_pieces(M * M, parallel_, [&](size_t, size_t begin, size_t end) {
        for (size_t j = begin; j < end; ++j) polynomial_[j] = kB * gram_[j] + kC * polynomial_[j];
      });
      in_pieces(M * N, parallel_, [&](size_t, size_t begin, size_t end) {
        for (size_t j = begin; j < end; ++j) next_[j] = kA * x_[j];
      });
      products_.input_gradient(polynomial, weight(x_, M, N), matrix(next_, M, N), Write::add);
      std::swap(x_, next_);
    }
  }

 private:
  static Matrix matrix(std::vector<float>& values, size_t rows, size_t columns) {
    const auto width = static_cast<int64_t>(columns);
    return {values.data(), width, static_cast<int64_t>(rows), width};
  }
  static Parameter weight(std::vector<float>& values, size_t rows, size_t columns) {
    return {.name = {},
            .shape = {static_cast<int64_t>(rows), static_cast<int64_t>(columns)},
            .values = std::span(values).first(rows * columns)};
  }

  void normalize(size_t count) {
    std::vector<double> sums(ceil_div(count, kPieceValues));
    in_pieces(count, parallel_, [&](size_t piece, size_t begin, size_t end) {
      for (size_t j = begin; j < end; ++j) sums[piece] += double{x_[j]} * double{x_[j]};
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    const auto factor = static_cast<float>(1 / (std::sqrt(total) + kTiny));
    in_pieces(count, parallel_, [&](size_t, size_t begin, size_t end) {
      for (size_t j = begin; j < end; ++j) x_[j] *= factor;
    });
  }

  Products products_;
  Parallel parallel_;
  std::vector<float> x_, next_, gram_, polynomial_;
};

class Muon final : public Optimizer {
 public:
  static Result<std::unique_ptr<Optimizer>> create(const OptimizerOptions& options,
                                                   std::vector<TrainedTensor> tensors) {
    auto out = std::make_unique<Muon>();
    std::vector<TrainedTensor> rest;
    std::vector<Shape> shapes;
    for (TrainedTensor& t : tensors) {
      if (t.hidden) shapes.push_back(t.shape);
      (t.hidden ? out->matrices_ : rest).push_back(std::move(t));
    }
    const KernelTable& kernels = *find_kernels("");
    KL_ASSIGN(Products products,
              Products::create(kernels, gradient_kernels(kernels), options.parallel, out->ledger_, options.compute));
    out->orthogonal_ = std::make_unique<Orthogonal>(std::move(products), options.parallel, Scratch(shapes));
    out->momentum_ = moments_like(out->matrices_);
    out->rest_ = make_adamw(options, std::move(rest));
    return std::unique_ptr<Optimizer>(std::move(out));
  }

  void step(int64_t step, double learning_rate, float gradient_scale, const Parallel& parallel) override {
    for (size_t i = 0; i < matrices_.size(); ++i) {
      const TrainedTensor& t = matrices_[i];
      const Size s = size_of(t.shape);
      std::vector<float>& x = orthogonal_->x();
      in_pieces(s.values(), parallel, [&](size_t, size_t begin, size_t end) {
        for (size_t j = begin; j < end; ++j) {
          const float g = t.gradient[j] * gradient_scale;
          float& m = momentum_[i][j];
          m += (1 - kMomentum) * (g - m);
          x[Orthogonal::place(s, j)] = g + kMomentum * (m - g);  // Nesterov's
        }
      });
      orthogonal_->run(s);
      apply(t, s, learning_rate * t.rate, parallel);
    }
    rest_->step(step, learning_rate, gradient_scale, parallel);
  }

  std::vector<StateTensor> state() override {
    std::vector<StateTensor> out = rest_->state();
    append_moments("momentum", matrices_, momentum_, out);
    return out;
  }

 private:
  void apply(const TrainedTensor& t, const Size& s, double rate, const Parallel& parallel) const {
    const auto step_size =
        static_cast<float>(rate * kUpdateSize * std::sqrt(static_cast<double>(std::max(s.rows, s.columns))));
    const auto shrink = static_cast<float>(1 - rate * t.weight_decay);
    const std::vector<float>& x = orthogonal_->x();
    in_pieces(s.values(), parallel, [&](size_t, size_t begin, size_t end) {
      for (size_t j = begin; j < end; ++j)
        t.values[j] = t.origin + (t.values[j] - t.origin) * shrink - step_size * x[Orthogonal::place(s, j)];
    });
  }

  Ledger ledger_;  // of the products' scratch; parameter_needs() counts it beforehand
  std::unique_ptr<Orthogonal> orthogonal_;
  std::vector<TrainedTensor> matrices_;
  std::vector<std::vector<float>> momentum_;
  std::unique_ptr<Optimizer> rest_;
};

}  // namespace

Result<std::unique_ptr<Optimizer>> make_muon(const OptimizerOptions& options, std::vector<TrainedTensor> tensors) {
  return Muon::create(options, std::move(tensors));
}

uint64_t muon_scratch_bytes(std::span<const Shape> matrices) {
  const Scratch scratch(matrices);
  return 2 * sizeof(float) * (scratch.values + scratch.grams);
}

double muon_multiplications(const Shape& matrix) {
  const Size s = size_of(matrix);
  const auto values = static_cast<double>(s.values()), narrow = static_cast<double>(s.narrow());
  return kIterations * (2 * values * narrow + narrow * narrow * narrow);
}

}  // namespace kinglet::train
