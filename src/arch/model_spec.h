// A model as read from its files and not yet loaded: architecture, hyper-parameters, program.
#pragma once

#include "arch/architecture.h"

namespace kinglet {

struct ModelSpec {
  const Architecture* architecture = nullptr;
  Hyper hyper;
  ProgramStorage program;
};

/// Reads hyper-parameters and builds the program. The vocabulary size and whether the head is tied come from the tensors where
/// a GGUF does not say. Errors: unsupported, corrupt (with the key).
Result<ModelSpec> read_model_spec(const Checkpoint& checkpoint);

/// The tensor of a parameter, checked against its declared shape. Errors: not_found, corrupt, with the file's own name.
Result<TensorView> find_param(const Checkpoint& checkpoint, const ParamInfo& param);

}  // namespace kinglet
