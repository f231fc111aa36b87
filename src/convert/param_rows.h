// A parameter of a checkpoint, row by row, as another format and type store it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "arch/adapter.h"
#include "arch/row_order.h"
#include "convert/convert.h"
#include "kernels/kernels.h"

namespace kinglet::convert {

enum class Layout { gguf, hugging_face };

class ParamRows {
 public:
  /// The tensor of `param` in `source`, checked. It is read as `to` stores it: rows of queries and keys in its order, and
  /// norms with or without the 1 that GGUF adds to Gemma's.
  static Result<ParamRows> open(const Checkpoint& source, const ParamInfo& param, Layout to);
  /// A tensor that both formats store alike.
  static ParamRows plain(const TensorView& tensor);

  /// From now on the rows are read from here; the shape is the same.
  void replace(const TensorView& tensor) { tensor_ = tensor; }
  /// From now on the rows are those of W + scale B A, with DoRA times its gains. `pair` must outlive it, and be made for this parameter.
  void add(const LoraPair& pair) { pair_ = &pair; }

  DType source_type() const { return tensor_.dtype; }
  const Shape& shape() const { return tensor_.shape; }

  /// Hands all rows as `type` to `sink`, a few megabytes at a time. Rows that need no change are handed on as they are.
  /// Errors: unsupported (a type that cannot be read or written), what `sink` answers.
  Status write(DType type, const std::function<Status(std::span<const std::byte>)>& sink) const;

 private:
  explicit ParamRows(TensorView tensor) : tensor_(tensor) {}
  int64_t source_row(int64_t row) const;
  void add_product(int64_t source_row, std::vector<float>& values) const;

  TensorView tensor_;
  int64_t head_rows_ = 0;              ///< > 0: rows of one head, which are reordered
  RowOrder order_ = RowOrder::halves;  ///< of what is written
  float shift_ = 0;                    ///< added to every value
  const LoraPair* pair_ = nullptr;     ///< whose product is added
};

/// The rows of a parameter with what `options` adds to it. Errors: those of ParamRows::open.
Result<ParamRows> open_rows(const Checkpoint& source, const ModelSpec& spec, const ParamInfo& param, Layout to,
                            const ConvertOptions& options);

}  // namespace kinglet::convert
