// Several teachers as one.
#pragma once

#include <vector>

#include "train/graph.h"

namespace kinglet::train {

struct EnsembleOptions {
  int64_t V = 0;           ///< logits of a row
  double temperature = 1;  ///< at which the lesson will be read
  Parallel parallel = Parallel::serial();
};

/// Where lessons keep one teacher's logits (rows, V), from batch to batch.
struct EnsembleScratch {
  Ledger& ledger;
  Block block{};
};

/// Logits z whose softmax(z / temperature) is the mean of the teachers' softmax(logits / temperature): an ensemble predicts
/// better than its members, and who learns from it keeps most of that (Hinton et al. 2015). One teacher stays as it is.
/// Errors of the lesson: the teachers'; resource_exhausted. `scratch` must outlive it.
TeacherLogits ensemble(std::vector<TeacherLogits> teachers, const EnsembleOptions& options, EnsembleScratch& scratch);
/// Bytes that such a lesson takes beside its teachers, for a batch of that many outputs.
uint64_t ensemble_bytes(const ProgramStorage& program, size_t teachers, int64_t outputs);

}  // namespace kinglet::train
