// Which model an adapter was made for: a number that stays the same when the model is converted or quantized.
#pragma once

#include <string>

#include "arch/builder.h"
#include "formats/checkpoint.h"

namespace kinglet {

/// 16 hexadecimal digits: the FNV-1a hash of the names and f32 values of all norms and biases. Quantization leaves these as
/// they are, and no two trainings end with the same. Errors: a tensor that is absent or has another shape.
Result<std::string> model_fingerprint(const Checkpoint& checkpoint, const ProgramStorage& program);

}  // namespace kinglet
