// Adafactor, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (Shazeer and Stern 2018): algorithms 4 and 5 with
// the learning rate from outside (no relative step, no scaling by the parameter) and decoupled weight decay.
#include <algorithm>
#include <cmath>

#include "train/optimizer_kinds.h"

namespace kinglet::train {
namespace {

constexpr double kTiny = 1e-30;         // eps1: added to squared gradients
constexpr double kMostUpdate = 1.0;     // d: root mean square that an update is clipped to
constexpr double kDecayExponent = 0.8;  // beta2 of step t is 1 - t^-0.8

/// How a tensor is taken apart: rows by width; what has one row or one column keeps every second moment.
struct Layout {
  size_t rows, width;
  bool factored;
};
Layout layout_of(const Shape& shape) {
  const auto width = static_cast<size_t>(shape.inner()), rows = static_cast<size_t>(shape.rows());
  return {rows, width, rows > 1 && width > 1};
}

/// A moving average that takes in `mean`.
float blend(float old, double keep, double mean) { return static_cast<float>(keep * double{old} + (1 - keep) * mean); }

class Adafactor final : public Optimizer {
 public:
  explicit Adafactor(std::vector<TrainedTensor> tensors) : tensors_(std::move(tensors)) {
    for (const TrainedTensor& t : tensors_) {
      const Layout l = layout_of(t.shape);
      rows_.emplace_back(l.factored ? l.rows : t.values.size());
      columns_.emplace_back(l.factored ? l.width : 0);
    }
  }

  void step(int64_t step, double learning_rate, float gradient_scale, const Parallel& parallel) override {
    const double keep = 1 - std::pow(static_cast<double>(step), -kDecayExponent);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const TrainedTensor& t = tensors_[i];
      const Layout layout = layout_of(t.shape);
      Work work{t, layout, rows_[i], columns_[i], gradient_scale, parallel};
      layout.factored ? work.average_rows_and_columns(keep) : work.average_values(keep);
      work.apply(learning_rate * t.rate);
    }
  }

  std::vector<StateTensor> state() override {
    std::vector<StateTensor> out;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const TrainedTensor& t = tensors_[i];
      const bool factored = layout_of(t.shape).factored;
      const Shape rows = factored ? Shape{t.shape.rows()} : t.shape;
      out.push_back({(factored ? "exp_avg_sq_row." : "exp_avg_sq.") + t.name, DType::f32, rows,
                     std::as_writable_bytes(std::span(rows_[i]))});
      if (factored)
        out.push_back({"exp_avg_sq_col." + t.name, DType::f32, Shape{t.shape.inner()},
                       std::as_writable_bytes(std::span(columns_[i]))});
    }
    return out;
  }

 private:
  /// One step of one tensor.
  struct Work {
    const TrainedTensor& t;
    Layout layout;
    std::vector<float>& rows;
    std::vector<float>& columns;
    float gradient_scale;
    const Parallel& parallel;

    double square(size_t i) const {
      const double g = double{t.gradient[i]} * gradient_scale;
      return g * g + kTiny;
    }
    template <typename F>
    void in_pieces(size_t count, size_t piece, const F& f) const {
      parallel.for_each(static_cast<int64_t>(ceil_div(count, piece)), [&](int64_t p, int) {
        const size_t begin = static_cast<size_t>(p) * piece;
        f(static_cast<size_t>(p), begin, std::min(count, begin + piece));
      });
    }
    size_t rows_of_piece() const { return std::max<size_t>(1, kPieceValues / layout.width); }

    void average_values(double keep) const {
      in_pieces(rows.size(), kPieceValues, [&](size_t, size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) rows[i] = blend(rows[i], keep, square(i));
      });
    }

    void average_rows_and_columns(double keep) const {
      in_pieces(layout.rows, rows_of_piece(), [&](size_t, size_t begin, size_t end) {
        for (size_t r = begin; r < end; ++r) {
          double sum = 0;
          for (size_t c = 0; c < layout.width; ++c) sum += square(r * layout.width + c);
          rows[r] = blend(rows[r], keep, sum / static_cast<double>(layout.width));
        }
      });
      constexpr size_t kColumns = 64;  // of a piece: a few cache lines of each row
      in_pieces(layout.width, kColumns, [&](size_t, size_t begin, size_t end) {
        double sums[kColumns] = {};
        for (size_t r = 0; r < layout.rows; ++r)
          for (size_t c = begin; c < end; ++c) sums[c - begin] += square(r * layout.width + c);
        for (size_t c = begin; c < end; ++c)
          columns[c] = blend(columns[c], keep, sums[c - begin] / static_cast<double>(layout.rows));
      });
    }

    double row_mean() const {
      double sum = 0;
      for (const float r : rows) sum += double{r};
      return sum / static_cast<double>(rows.size());
    }

    /// Calls f(piece, index, update) for every value, before clipping and learning rate.
    template <typename F>
    void for_updates(double mean, const F& f) const {
      const size_t rows_each = layout.factored ? rows_of_piece() : kPieceValues;
      in_pieces(layout.factored ? layout.rows : rows.size(), rows_each, [&](size_t piece, size_t begin, size_t end) {
        for (size_t r = begin; r < end; ++r) {
          if (!layout.factored) {
            f(piece, r, double{t.gradient[r]} * gradient_scale / std::sqrt(double{rows[r]}));
            continue;
          }
          const double scale = gradient_scale / std::sqrt(double{rows[r]} / mean);
          for (size_t c = 0; c < layout.width; ++c) {
            const size_t i = r * layout.width + c;
            f(piece, i, double{t.gradient[i]} * scale / std::sqrt(double{columns[c]}));
          }
        }
      });
    }

    void apply(double rate) const {
      const double mean = layout.factored ? row_mean() : 1;
      std::vector<double> squares(t.values.size() / kPieceValues + layout.rows + 1);
      for_updates(mean, [&](size_t piece, size_t, double u) { squares[piece] += u * u; });
      double sum = 0;
      for (const double s : squares) sum += s;
      const double rms = std::sqrt(sum / static_cast<double>(t.values.size()));
      const double step_size = rate / std::max(1.0, rms / kMostUpdate);
      const double shrink = 1 - rate * t.weight_decay;
      for_updates(mean, [&](size_t, size_t i, double u) {
        t.values[i] = static_cast<float>(t.origin + (double{t.values[i]} - t.origin) * shrink - step_size * u);
      });
    }
  };

  std::vector<TrainedTensor> tensors_;
  std::vector<std::vector<float>> rows_;     ///< mean of squares by row; of each value where the tensor is not factored
  std::vector<std::vector<float>> columns_;  ///< mean of squares by column
};

}  // namespace

std::unique_ptr<Optimizer> make_adafactor(std::vector<TrainedTensor> tensors) {
  return std::make_unique<Adafactor>(std::move(tensors));
}

uint64_t adafactor_state_values(const Shape& shape) {
  const Layout l = layout_of(shape);
  return l.factored ? l.rows + l.width : l.rows * l.width;
}

}  // namespace kinglet::train
