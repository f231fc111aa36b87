// f32 matrix products over all threads, in the three forms that a linear layer takes. An element of a result is one fixed
// sequence of operations, however the work is cut, so results depend on no thread count.
#pragma once

#include <cstdint>
#include <span>

#include "base/parallel.h"
#include "host/memory.h"
#include "train/bf16_products.h"
#include "train/compute.h"
#include "train/kernels.h"
#include "train/parameters.h"

namespace kinglet::train {

/// f32 rows of a slot, `stride` floats apart.
struct Matrix {
  float* data = nullptr;
  int64_t stride = 0;
  int64_t rows = 0, columns = 0;

  float* row(int64_t i) const { return data + i * stride; }
};

enum class Write : uint8_t { store, add };

class Products {
 public:
  static Result<Products> create(const KernelTable& kernels, const GradientKernels& gradients, const Parallel& parallel,
                                 Ledger& ledger, Compute compute = Compute::f32);

  /// y (T, N) (=|+=) x (T, K) W^T + bias, W (N, K); bias may be null. A W in panels is multiplied by what quantize() made
  /// of x.
  void forward(Matrix x, const Parameter& w, const float* bias, Matrix y, Write write) const;
  /// The same in f32 whatever W is held as, without a bias.
  void forward_f32(Matrix x, const Parameter& w, Matrix y, Write write) const;
  /// Of each row of W (N, K), the sum of squares.
  void row_squares(const Parameter& w, std::span<double> out) const;
  /// Makes the rows of this kind that products of x with panels read; good until the next call. reserve() has made room for them.
  void convert_rows(Matrix x, ActKind kind);
  Status reserve(int64_t rows, int64_t K);
  uint64_t bytes() const { return packed_.size() + scratch_.size() + act_rows_.size(); }
  /// What a product with W reads: f32 where that is no product of panels.
  ActKind reads(const Parameter& w) const {
    return w.panels == nullptr ? ActKind::f32 : table_->weights[static_cast<size_t>(w.dtype)].act;
  }
  /// dx (T, K) (=|+=) dy (T, N) W.
  void input_gradient(Matrix dy, const Parameter& w, Matrix dx, Write write) const;
  /// dW (N, K) += dy^T (N, T) x (T, K).
  void weight_gradient(Matrix dy, Matrix x, float* dw) const;

 private:
  struct Right;  // the operand B of a product, wherever it lies
  struct Task;   // one product

  void forward_panels(Matrix x, const Parameter& w, const float* bias, Matrix y, Write write) const;
  void dequantize(const Parameter& w, int64_t row, int64_t column, int64_t height, int64_t length, float* out) const;

  enum class Factors : uint8_t { f32, bf16 };
  struct Part;  // of B: what is packed at once

  Factors factors(bool bf16) const { return bf16 && bf16_ != nullptr ? Factors::bf16 : Factors::f32; }
  Task forward_task(Matrix x, const Parameter& w, const float* bias, Matrix y, Write write) const;
  void run(const Task& task) const;
  void pack(const Task& task, const Part& part) const;
  void pack_chunk(const Task& task, const Part& part, int64_t chunk, int worker) const;
  void pack_transposed(const Task& task, const float* rows, int64_t stride, int64_t columns, int64_t K, float* panel,
                       int worker) const;
  const float* rows_of(const Right& b, int64_t row, int64_t column, int64_t height, int64_t length, int worker) const;
  void multiply(const Task& task, const Part& part) const;
  struct Tile;  // of C
  struct Target;
  Task turn_where_shorter(const Task& task) const;
  void multiply_tile(const Task& task, const Part& part, const Tile& tile, int worker) const;
  void multiply_turned(const Task& task, const Part& part, const Tile& tile, int worker) const;
  void multiply_block(const Task& task, const Part& part, const Tile& tile, int64_t k, const Target& to,
                      int worker) const;
  float* scratch(int worker) const;
  float* near_scratch(int worker) const;
  float* packed_panel(const Task& task, const Part& part, int64_t k, int64_t column) const;

  const KernelTable* table_ = nullptr;
  const GradientKernels* kernels_ = nullptr;
  const Bf16Kernels* bf16_ = nullptr;  ///< null: not wanted, or not there
  Compute compute_ = Compute::f32;
  Parallel parallel_;
  Ledger* ledger_ = nullptr;
  Block packed_, scratch_, act_rows_;
  size_t act_stride_ = 0;
  int64_t scratch_floats_ = 0;  ///< of each worker
  int64_t turned_floats_ = 0;   ///< of these, what lies before a turned tile
};

}  // namespace kinglet::train
