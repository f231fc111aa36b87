// What training takes in memory and arithmetic, from shapes alone: no weight is read, and nothing large is allocated.
#pragma once

#include <cstdint>
#include <functional>

#include "train/graph.h"
#include "train/optimizer.h"
#include "train/parameters.h"

namespace kinglet::train {

/// What a run finds a parameter stored as. Errors: those of whoever looks.
using StoredType = std::function<Result<DType>(const ParamInfo& param)>;
/// As the checkpoint has it, which must outlive the function.
StoredType stored_in(const Checkpoint& checkpoint);

struct ParameterNeeds {
  int64_t parameters = 0, trained = 0;                 ///< values
  uint64_t weights = 0, gradients = 0, optimizer = 0;  ///< bytes; of muon the scratch too
  double optimizer_work = 0;                           ///< multiply-adds of its products in a step
};
/// Of the Parameters that `options` make. Errors: those of `stored`; unsupported.
Result<ParameterNeeds> parameter_needs(const ProgramStorage& program, const ParameterOptions& options,
                                       OptimizerKind optimizer, const StoredType& stored);

/// One batch, as far as its needs depend on it.
struct BatchShape {
  int64_t tokens = 0;    ///< T
  int64_t outputs = 0;   ///< R, targets that count
  int64_t sequence = 0;  ///< tokens of one of its sequences
};

/// Multiply-adds by what they are done with.
struct Multiplications {
  double f32 = 0;
  double stored_forward = 0, stored_backward = 0;  ///< with weights that are held as stored
  double attention = 0;

  Multiplications& operator+=(const Multiplications& other) {
    f32 += other.f32, stored_forward += other.stored_forward, stored_backward += other.stored_backward;
    attention += other.attention;
    return *this;
  }
};

struct WalkNeeds {
  uint64_t bytes = 0;  ///< beside the parameters
  Multiplications work;
};
/// Of Graph::backward for one batch. Errors: those of Graph::create.
Result<WalkNeeds> walk_needs(const ProgramStorage& program, const ParameterOptions& parameters,
                             const GraphOptions& options, const BatchShape& batch);

/// Multiply-adds a second.
struct ProductSpeed {
  double f32 = 0;
  double stored_forward = 0, stored_backward = 0;  ///< with weights of one type that are held as stored
};
/// Measured on products like those of `batch_tokens` tokens, in about a fifth of a second. Errors: resource_exhausted.
Result<ProductSpeed> measure_products(const ParameterOptions& parameters, DType stored, int64_t batch_tokens,
                                      Compute compute = Compute::f32);

/// Seconds that the multiplications take at that speed.
double seconds_of(const Multiplications& work, const ProductSpeed& speed);

}  // namespace kinglet::train
