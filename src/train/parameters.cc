#include "train/parameters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "arch/model_spec.h"
#include "host/error.h"

namespace kinglet::train {
namespace {

constexpr int64_t kAlignment = 16;  // floats: a cache line

bool is_matrix(const ParamInfo& p) { return p.kind == ParamKind::linear || p.kind == ParamKind::embedding; }

// splitmix64: a counter and its finalizer, so that each parameter has a stream of its own.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In (0, 1].
  double uniform() { return (static_cast<double>(next() >> 11) + 1) * 0x1p-53; }
  /// Two independent values of N(0, 1) (Box and Muller).
  void normal_pair(double& a, double& b) {
    const double radius = std::sqrt(-2.0 * std::log(uniform())), angle = 2.0 * M_PI * uniform();
    a = radius * std::cos(angle);
    b = radius * std::sin(angle);
  }

 private:
  uint64_t state_;
};

void fill_normal(std::span<float> out, double deviation, Random random) {
  for (size_t i = 0; i < out.size(); i += 2) {
    double a = 0, b = 0;
    random.normal_pair(a, b);
    out[i] = static_cast<float>(deviation * a);
    if (i + 1 < out.size()) out[i + 1] = static_cast<float>(deviation * b);
  }
}

// Copies a tensor's values to f32.
Status fill_values(const ParamInfo& info, const TensorView& tensor, bool from_hf, std::span<float> out) {
  const DequantizeRow dequantize = dequantize_row(tensor.dtype);
  const std::string& shown = from_hf ? info.hf : info.gguf;
  if (dequantize == nullptr) return error(Code::unsupported, "tensor {} is {}", shown, name(tensor.dtype));
  dequantize(tensor.data.data(), static_cast<int64_t>(out.size()), out.data());
  for (float& x : out) {
    if (!std::isfinite(x)) return error(Code::corrupt, "tensor {} holds a value that is not finite", shown);
    if (info.plus_one && from_hf) x += 1.0f;
  }
  return ok_status();
}

}  // namespace

bool is_trained(const ParamInfo& p, Trained which) {
  return which == Trained::all || (which == Trained::adapters && !p.values.empty());
}

bool is_held_as_stored(const ParamInfo& p, const ParameterOptions& options) {
  return options.frozen != FrozenForm::f32 && !is_trained(p, options.trained) && is_matrix(p);
}

bool is_hidden(const ParamInfo& p) { return p.kind == ParamKind::linear && p.layer != kNone; }

bool is_held_as_nf4(const ParamInfo& p, const ParameterOptions& options, DType stored) {
  return options.frozen == FrozenForm::nf4 && is_held_as_stored(p, options) && p.kind == ParamKind::linear &&
         p.layer != kNone && !is_quantized(stored) && p.shape[1] % kNf4Block == 0;
}

bool packs(const KernelTable& kernels, DType type) {
  return is_quantized(type) && kernels.weights[static_cast<size_t>(type)].matmul != nullptr;
}

size_t packed_bytes(const Parameter& p) {
  return static_cast<size_t>(ceil_div<int64_t>(p.shape[0], kPanelRows)) * round_up<size_t>(p.panel_bytes(), 64);
}

void pack_panels(const KernelTable& kernels, const Parallel& parallel, Parameter& p, std::byte* to) {
  const WeightKernels& k = kernels.weights[static_cast<size_t>(p.dtype)];
  p.packing = kernels.packing;
  p.panels = k.canonical ? p.rows : to;
  if (k.canonical) return;
  const int64_t N = p.shape[0], K = p.shape[1];
  parallel.for_each(ceil_div<int64_t>(N, kPanelRows), [&](int64_t panel, int) {
    const int64_t row = panel * kPanelRows;
    k.pack(p.rows + static_cast<size_t>(row) * p.row_bytes, p.row_bytes,
           static_cast<int>(std::min<int64_t>(kPanelRows, N - row)), K,
           to + static_cast<size_t>(panel) * p.panel_bytes());
  });
}

Result<Parameters> Parameters::allocate(const ProgramStorage& program, const ParameterOptions& options,
                                        Ledger& ledger) {
  Parameters out;
  uint64_t values = 0, gradients = 0;
  for (const ParamInfo& p : program.params) {
    const bool trained = is_trained(p, options.trained);
    const auto floats = static_cast<uint64_t>(round_up(*p.shape.count(), kAlignment));
    if (!is_held_as_stored(p, options)) values += floats;
    if (trained) gradients += floats;
  }
  KL_ASSIGN(out.values_, Block::allocate(values * sizeof(float), MemoryUse::weights, ledger));
  KL_ASSIGN(out.gradients_, Block::allocate(gradients * sizeof(float), MemoryUse::other, ledger));
  auto* value = reinterpret_cast<float*>(out.values_.data());
  auto* gradient = reinterpret_cast<float*>(out.gradients_.data());
  for (const ParamInfo& p : program.params) {
    const int64_t count = *p.shape.count(), floats = round_up(count, kAlignment);
    const bool trained = is_trained(p, options.trained);
    Parameter parameter{.name = p.hf,
                        .shape = p.shape,
                        .decay = is_matrix(p),
                        .hidden = is_hidden(p),
                        .origin = p.plus_one ? 1.0f : 0.0f};
    if (!is_held_as_stored(p, options)) {
      parameter.values = {value, static_cast<size_t>(count)};
      value += floats;
    }
    if (trained) {
      parameter.gradient = {gradient, static_cast<size_t>(count)};
      gradient += floats;
    }
    out.parameters_.push_back(std::move(parameter));
  }
  return out;
}

Result<Parameters> Parameters::load(const Checkpoint& checkpoint, const ProgramStorage& program,
                                    const ParameterOptions& options, Ledger& ledger) {
  KL_ASSIGN(Parameters out, allocate(program, options, ledger));
  const bool from_hf = checkpoint.kind() == Checkpoint::Kind::hugging_face;
  for (size_t i = 0; i < program.params.size(); ++i) {
    const ParamInfo& info = program.params[i];
    Parameter& p = out.parameters_[i];
    if (!info.values.empty()) {
      std::copy(info.values.begin(), info.values.end(), p.values.begin());
      continue;
    }
    KL_ASSIGN(const TensorView tensor, find_param(checkpoint, info));
    if (!p.values.empty()) {
      KL_TRY(fill_values(info, tensor, from_hf, p.values));
      continue;
    }
    if (dequantize_row(tensor.dtype) == nullptr)
      return error(Code::unsupported, "tensor {} is {}", from_hf ? info.hf : info.gguf, kinglet::name(tensor.dtype));
    p.dtype = tensor.dtype;
    p.rows = tensor.data.data();
    p.row_bytes = *kinglet::row_bytes(tensor.dtype, static_cast<uint64_t>(info.shape[1]));  // the reader has checked it
  }
  if (options.frozen == FrozenForm::nf4) KL_TRY(out.make_nf4(program, options, ledger));
  if (options.frozen != FrozenForm::f32) KL_TRY(out.pack(program, options, ledger));
  return out;
}

Status Parameters::make_nf4(const ProgramStorage& program, const ParameterOptions& options, Ledger& ledger) {
  const auto becomes = [&](size_t i) {
    return parameters_[i].rows != nullptr && is_held_as_nf4(program.params[i], options, parameters_[i].dtype);
  };
  uint64_t bytes = 0;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (becomes(i)) bytes += nf4_bytes(parameters_[i].shape[0], parameters_[i].shape[1]);
  KL_ASSIGN(nf4_, Block::allocate(bytes, MemoryUse::weights, ledger));
  std::byte* next = nf4_.data();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!becomes(i)) continue;
    Parameter& p = parameters_[i];
    p.nf4 = quantize_nf4({.rows = p.rows,
                          .row_bytes = p.row_bytes,
                          .convert = dequantize_row(p.dtype),
                          .N = p.shape[0],
                          .K = p.shape[1]},
                         options.parallel, next);
    if (!std::isfinite(p.nf4.mean)) return error(Code::corrupt, "tensor {} holds a value that is not finite", p.name);
    next += nf4_bytes(p.shape[0], p.shape[1]);
    forget_pages({p.rows, static_cast<size_t>(p.shape[0]) * p.row_bytes});
    p.rows = nullptr;
  }
  return ok_status();
}

// Quantized matrices that products read become panels; those that embeddings read stay in the map as well.
Status Parameters::pack(const ProgramStorage& program, const ParameterOptions& options, Ledger& ledger) {
  const KernelTable& kernels = options.kernels != nullptr ? *options.kernels : *find_kernels("");
  std::vector<uint8_t> multiplied(parameters_.size(), 0), embedded(parameters_.size(), 0);
  for (const Step& s : program.steps) {
    if (s.op == Op::linear) multiplied[static_cast<size_t>(s.weight)] = 1;
    if (s.op == Op::embed) embedded[static_cast<size_t>(s.weight)] = 1;
  }
  const auto is_packed = [&](size_t i) {
    return parameters_[i].rows != nullptr && multiplied[i] != 0 && packs(kernels, parameters_[i].dtype);
  };
  const auto takes_room = [&](size_t i) {
    return !kernels.weights[static_cast<size_t>(parameters_[i].dtype)].canonical;
  };
  uint64_t bytes = 0;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (is_packed(i) && takes_room(i)) bytes += packed_bytes(parameters_[i]);
  KL_ASSIGN(panels_, Block::allocate(bytes, MemoryUse::packed_weights, ledger));
  std::byte* next = panels_.data();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!is_packed(i)) continue;
    Parameter& p = parameters_[i];
    pack_panels(kernels, options.parallel, p, next);
    if (!takes_room(i)) continue;
    next += packed_bytes(p);
    forget_pages({p.rows, static_cast<size_t>(p.shape[0]) * p.row_bytes});
    if (embedded[i] == 0) p.rows = nullptr;
  }
  return ok_status();
}

Result<Parameters> Parameters::random(const ProgramStorage& program, uint64_t seed, Ledger& ledger) {
  constexpr double kDeviation = 0.02;
  KL_ASSIGN(Parameters out, allocate(program, {}, ledger));
  Random seeds(seed);
  for (size_t i = 0; i < program.params.size(); ++i) {
    Parameter& p = out.parameters_[i];
    const uint64_t own = seeds.next();
    if (!program.params[i].values.empty()) {
      std::copy(program.params[i].values.begin(), program.params[i].values.end(), p.values.begin());
    } else if (is_matrix(program.params[i])) {
      fill_normal(p.values, kDeviation, Random(own));
    } else {
      std::fill(p.values.begin(), p.values.end(), program.params[i].kind == ParamKind::norm ? 1.0f : 0.0f);
    }
  }
  return out;
}

int64_t Parameters::trained_values() const {
  int64_t n = 0;
  for (const Parameter& p : parameters_) n += static_cast<int64_t>(p.gradient.size());
  return n;
}

void Parameters::zero_gradients(const Parallel& parallel) {
  constexpr int64_t kChunk = int64_t{1} << 20;
  const auto bytes = static_cast<int64_t>(gradients_.size());
  parallel.for_each(ceil_div(bytes, kChunk), [&](int64_t chunk, int) {
    const int64_t begin = chunk * kChunk;
    std::memset(gradients_.data() + begin, 0, static_cast<size_t>(std::min(kChunk, bytes - begin)));
  });
}

}  // namespace kinglet::train
