#include "convert/gguf_header.h"

#include <cmath>

#include "host/error.h"

namespace kinglet::convert {
namespace {

constexpr uint32_t kQuantizationVersion = 2;  // GGML_QNT_VERSION: the block layouts of tensor/blocks.h

/// Where rows are no multiple of 256, the type of 32-value blocks that llama.cpp takes in its place.
DType small_block_type(DType type) {
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
    case DType::iq4_xs:
      return DType::iq4_nl;
    case DType::q4_k:
      return DType::q5_0;
    case DType::q5_k:
      return DType::q5_1;
    case DType::q6_k:
      return DType::q8_0;
    default:
      return type;
  }
}

}  // namespace

uint32_t file_type(DType weights) {
  switch (weights) {
    case DType::f16:
      return 1;
    case DType::q4_0:
      return 2;
    case DType::q4_1:
      return 3;
    case DType::q8_0:
      return 7;
    case DType::q5_0:
      return 8;
    case DType::q5_1:
      return 9;
    case DType::q2_k:
      return 10;
    case DType::q3_k:
      return 11;  // MOSTLY_Q3_K_S, as the next two: one type for all layers
    case DType::q4_k:
      return 14;
    case DType::q5_k:
      return 16;
    case DType::q6_k:
      return 18;
    case DType::iq4_nl:
      return 25;
    case DType::iq4_xs:
      return 30;
    case DType::bf16:
      return 32;
    default:
      return 0;
  }
}

std::string size_label(int64_t parameters) {
  const struct {
    double unit;
    char letter;
  } kUnits[] = {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
  for (const auto& u : kUnits) {
    const double scaled = static_cast<double>(parameters) / u.unit;
    if (scaled <= 1.0 && u.letter != 'K') continue;
    const bool one_digit = std::nearbyint(scaled) < 10;  // two significant digits
    return one_digit ? fmt::format("{:.1f}{}", scaled, u.letter) : fmt::format("{:.0f}{}", scaled, u.letter);
  }
  return {};
}

int64_t parameter_count(const ProgramStorage& program) {
  int64_t n = 0;
  for (const ParamInfo& p : program.params) n += p.shape.count().value_or(0);
  return n;
}

Status write_gguf_header(const ModelSpec& spec, const std::string& name, DType weights, const TokenizerData& tokenizer,
                         gguf::Writer& file, std::vector<FactorTensor>& factors) {
  file.set("general.architecture", std::string(spec.architecture->gguf));
  file.set("general.type", std::string("model"));
  file.set("general.name", name);
  file.set("general.size_label", size_label(parameter_count(spec.program)));
  Hyper hyper = spec.hyper;  // describing it must not change it
  const auto io = make_gguf_config_writer(file, spec.architecture->gguf, factors);
  spec.architecture->config(*io, hyper);
  KL_TRY(io->status());
  file.set("general.file_type", file_type(weights));
  file.set("general.quantization_version", kQuantizationVersion);
  write_tokenizer(tokenizer, file);
  for (const FactorTensor& f : factors) {
    KL_TRY(file.declare(f.name, DType::f32, {static_cast<int64_t>(f.values.size())}));
  }
  return ok_status();
}

Status write_factors(const std::vector<FactorTensor>& factors, gguf::Writer& file) {
  for (const FactorTensor& f : factors) KL_TRY(file.write_tensor(std::as_bytes(std::span(f.values))));
  return ok_status();
}

DType stored_type(const ParamInfo& param, DType wanted) {
  if (param.shape.rank <= 1 || param.kind == ParamKind::norm || param.kind == ParamKind::bias) return DType::f32;
  const auto width = static_cast<uint64_t>(param.shape.inner());
  if (row_bytes(wanted, width)) return wanted;
  const DType small = small_block_type(wanted);
  return row_bytes(small, width) ? small : DType::f16;
}

}  // namespace kinglet::convert
