// Attention over the sequences of one ragged batch, forward and backward. No (T, T) matrix is kept: the backward walk makes
// the probabilities again from the logarithm of each row's sum.
// Source: Dao et al. 2022, "FlashAttention".
#pragma once

#include <span>

#include "spec/program.h"
#include "train/product.h"

namespace kinglet::train {

class AttentionWalk {
 public:
  /// `starts` (B + 1) are the sequences' first rows.
  AttentionWalk(const GradientKernels& kernels, const Parallel& parallel, const Attr& attr,
                std::span<const int32_t> starts)
      : kernels_(kernels), parallel_(parallel), attr_(attr), starts_(starts) {}

  /// Floats of scratch that forward or backward takes.
  static int64_t scratch_floats(const GradientKernels& kernels, const Attr& attr, std::span<const int32_t> starts,
                                int workers);

  /// out (T, H D) from q, k, v; log_sums (T, H) for the backward.
  void forward(Matrix q, Matrix k, Matrix v, Matrix out, Matrix log_sums, float* scratch) const;

  struct Backward {
    Matrix q, k, v, out, log_sums, dout;
    Matrix dq, dk, dv;  ///< data null: not wanted
    Write write_q, write_k, write_v;
  };
  void backward(const Backward& walk, float* scratch) const;

 private:
  struct Item;
  struct Keys;

  int64_t sequences() const { return static_cast<int64_t>(starts_.size()) - 1; }
  int64_t length(int64_t b) const { return starts_[static_cast<size_t>(b) + 1] - starts_[static_cast<size_t>(b)]; }
  Keys keys_of(int64_t q0, int64_t q1, int64_t length) const;
  ScoreRow row_of(int64_t query, const Keys& keys, int64_t length) const;
  float* packed_at(float* packed, int64_t b, int64_t g) const;
  void pack(Matrix x, float* packed) const;
  void forward_tile(const Item& item, Matrix q, Matrix v, Matrix out, Matrix log_sums, const float* keys,
                    float* scores) const;
  void backward_head(const Item& item, const Backward& walk, const float* keys, const float* values, Matrix dk,
                     Matrix dv, float* tiles) const;
  void add_heads(const Matrix& heads, Matrix out, Write write) const;

  const GradientKernels& kernels_;
  const Parallel& parallel_;
  const Attr& attr_;
  std::span<const int32_t> starts_;
};

}  // namespace kinglet::train
