// The types of the safetensors format. Internal to formats/.
#pragma once

#include <string_view>

#include "tensor/dtype.h"

namespace kinglet::safetensors {

struct TypeName {
  std::string_view name;
  DType dtype;
};

/// A type is written by its first name. Truth values and unsigned bytes are read as the bytes they are.
inline constexpr TypeName kTypeNames[] = {
    {"F64", DType::f64}, {"F32", DType::f32}, {"F16", DType::f16}, {"BF16", DType::bf16}, {"I64", DType::i64},
    {"I32", DType::i32}, {"I16", DType::i16}, {"I8", DType::i8},   {"U8", DType::i8},     {"BOOL", DType::i8},
};

}  // namespace kinglet::safetensors
