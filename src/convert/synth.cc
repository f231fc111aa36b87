#include "convert/synth.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "convert/gguf_header.h"
#include "convert/random_blocks.h"
#include "convert/synthetic_vocabulary.h"
#include "formats/hf_directory.h"
#include "host/error.h"

namespace kinglet::convert {
namespace {

constexpr uint64_t kSliceBytes = uint64_t{32} << 20;  ///< of a tensor, made at once and then written

bool is_weight_type(DType t) { return is_quantized(t) || t == DType::f32 || t == DType::f16 || t == DType::bf16; }

/// The type of a parameter. The head decides the next token: llama.cpp's quantizer gives it more bits than the rest.
DType type_of(const ParamInfo& param, const ModelSpec& spec, DType wanted) {
  const bool embedding = param.kind == ParamKind::embedding;
  const bool head = param.layer == kNone && (param.kind == ParamKind::linear || (embedding && spec.hyper.tied));
  return stored_type(param, head && is_quantized(wanted) && wanted != DType::q8_0 ? DType::q6_k : wanted);
}

/// Values about which a parameter lies, and how far: what keeps activations near 1 from layer to layer.
struct Spread {
  float mean;
  float deviation;
};
Spread spread_of(const ParamInfo& param) {
  switch (param.kind) {
    case ParamKind::norm:
      return {1.0f, 0.05f};
    case ParamKind::bias:
      return {0.0f, 0.1f};
    case ParamKind::embedding:
    case ParamKind::linear:
      break;
  }
  return {0.0f, 1.0f / std::sqrt(static_cast<float>(param.shape.inner()))};
}

/// A parameter's bytes, slice by slice. Every row has a generator of its own, seeded by where it is.
class ParamMaker {
 public:
  ParamMaker(const SynthOptions& options, size_t index, const ParamInfo& param, DType type)
      : options_(options),
        spread_(spread_of(param)),
        type_(type),
        seed_(options.seed * 0x9e3779b97f4a7c15ull + index * 0xd1342543de82ef95ull),
        rows_(param.shape.rows()),
        row_bytes_(*row_bytes(type, static_cast<uint64_t>(param.shape.inner()))) {}

  Status write(gguf::Writer& file) {
    const int64_t rows = std::max<int64_t>(1, static_cast<int64_t>(kSliceBytes / row_bytes_));
    for (int64_t begin = 0; begin < rows_; begin += rows) {
      buffer_.resize(static_cast<size_t>(std::min(rows, rows_ - begin)) * row_bytes_);
      fill(begin);
      KL_TRY(file.write_tensor(buffer_));
    }
    return ok_status();
  }

 private:
  void fill(int64_t begin) {
    constexpr int64_t kRowsOfChunk = 64;
    const auto rows = static_cast<int64_t>(buffer_.size() / row_bytes_);
    options_.parallel.for_each(ceil_div(rows, kRowsOfChunk), [&](int64_t chunk, int) {
      for (int64_t r = chunk * kRowsOfChunk; r < std::min(rows, (chunk + 1) * kRowsOfChunk); ++r) {
        Random random(seed_ ^ (static_cast<uint64_t>(begin + r) * 0xda942042e4dd58b5ull));
        const auto row = std::span(buffer_).subspan(static_cast<size_t>(r) * row_bytes_, row_bytes_);
        fill_random(type_, spread_.deviation, random, row);
        if (spread_.mean != 0) shift(row);
      }
    });
  }

  /// Norms are f32 and lie about 1.
  void shift(std::span<std::byte> row) const {
    for (size_t at = 0; at < row.size(); at += sizeof(float)) {
      float value;
      std::memcpy(&value, row.data() + at, sizeof(float));
      value += spread_.mean;
      std::memcpy(row.data() + at, &value, sizeof(float));
    }
  }

  const SynthOptions& options_;
  Spread spread_;
  DType type_;
  uint64_t seed_;
  int64_t rows_;
  size_t row_bytes_;
  std::vector<std::byte> buffer_;
};

}  // namespace

Status synthesize(const Preset& preset, const std::string& path, const SynthOptions& options) {
  if (!is_weight_type(options.type)) return error(Code::invalid_argument, "no weight is {}", name(options.type));
  HfDirectory hf;
  hf.path = preset.name;
  hf.config = preset.config;
  const Checkpoint shape = Checkpoint::of(std::move(hf));
  KL_ASSIGN(const ModelSpec spec, read_model_spec(shape));
  gguf::Writer file(path);
  std::vector<FactorTensor> factors;
  KL_TRY(write_gguf_header(spec, preset.name + " (synthetic)", options.type, synthetic_vocabulary(preset, spec.hyper.V),
                           file, factors));
  std::vector<DType> types;
  uint64_t total = 0, done = 0;
  for (const ParamInfo& p : spec.program.params) {
    types.push_back(type_of(p, spec, options.type));
    KL_TRY(file.declare(p.gguf, types.back(), p.shape));
    total += tensor_bytes(types.back(), p.shape).value_or(0);
  }
  KL_TRY(file.begin());
  KL_TRY(write_factors(factors, file));
  for (size_t i = 0; i < types.size(); ++i) {
    const ParamInfo& p = spec.program.params[i];
    KL_TRY(ParamMaker(options, i, p, types[i]).write(file));
    done += tensor_bytes(types[i], p.shape).value_or(0);
    if (options.progress) options.progress(done, total);
  }
  return file.finish().status();
}

}  // namespace kinglet::convert
