// What a GGUF of a model says beside its weights, as llama.cpp's converter writes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arch/model_spec.h"
#include "convert/tokenizer_data.h"

namespace kinglet::convert {

/// general.file_type: what most weights of a file are. The numbers are llama.cpp's (enum llama_ftype).
uint32_t file_type(DType weights);

/// "7B", "494M": a parameter count as general.size_label gives it.
std::string size_label(int64_t parameters);

/// Values in all parameters of a program (shared ones once).
int64_t parameter_count(const ProgramStorage& program);

/// Sets general.*, the architecture's keys and the tokenizer's, and declares the rope factor tensors, whose data the caller
/// writes first (write_factors). `spec.hyper` is not changed.
Status write_gguf_header(const ModelSpec& spec, const std::string& name, DType weights, const TokenizerData& tokenizer,
                         gguf::Writer& file, std::vector<FactorTensor>& factors);
Status write_factors(const std::vector<FactorTensor>& factors, gguf::Writer& file);

/// The type a parameter has in a file whose weights are `wanted`: norms, biases and single rows stay f32; what `wanted`
/// cannot hold because a row is no whole number of its blocks falls back as llama.cpp's quantizer does.
DType stored_type(const ParamInfo& param, DType wanted);

}  // namespace kinglet::convert
