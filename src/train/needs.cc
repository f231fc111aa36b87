#include "train/needs.h"

#include <algorithm>
#include <chrono>

#include "arch/model_spec.h"
#include "host/error.h"
#include "train/attention.h"
#include "train/dropout.h"
#include "train/optimizer_kinds.h"
#include "train/product.h"
#include "train/tape.h"

namespace kinglet::train {
namespace {

std::vector<uint8_t> trained_mask(const ProgramStorage& program, Trained which) {
  std::vector<uint8_t> out;
  for (const ParamInfo& p : program.params) out.push_back(is_trained(p, which) ? 1 : 0);
  return out;
}

const KernelTable* kernels_of(const ParameterOptions& options) {
  return options.kernels != nullptr ? options.kernels : find_kernels("");
}

/// Multiply-adds of an action over the whole batch.
class WorkCounter {
 public:
  WorkCounter(const ProgramStorage& program, const ParameterOptions& options, const BatchShape& batch)
      : program_(program), options_(options), batch_(batch) {}

  Multiplications count(const Tape& tape) {
    for (const Action& action : tape.actions) {
      if (action.kind == Action::Kind::loss) continue;
      const Step& s = program_.steps[static_cast<size_t>(action.step)];
      if (s.op == Op::linear) linear(action, s);
      if (s.op == Op::attention) attention(action, s);
    }
    return work_;
  }

 private:
  void linear(const Action& action, const Step& s) {
    const ParamInfo& w = program_.params[static_cast<size_t>(s.weight)];
    const bool tokens = program_.slots[static_cast<size_t>(s.out)].rows == Rows::tokens;
    const double once = static_cast<double>(tokens ? batch_.tokens : batch_.outputs) * static_cast<double>(w.shape[0]) *
                        static_cast<double>(w.shape[1]);
    const bool stored = is_held_as_stored(w, options_);
    if (action.kind == Action::Kind::forward) {
      (stored ? work_.stored_forward : work_.f32) += once;
      return;
    }
    if (is_trained(w, options_.trained)) work_.f32 += once;
    if (action.d_in[0].wanted()) (stored ? work_.stored_backward : work_.f32) += once;
  }
  // Scores and weighted values forward; backward makes the scores again, then the gradients of queries, keys and values.
  void attention(const Action& action, const Step& s) {
    double seen = static_cast<double>(batch_.sequence) / (s.attr.causal ? 2 : 1);
    if (s.attr.window > 0) seen = std::min(seen, static_cast<double>(s.attr.window));
    const double one = static_cast<double>(batch_.tokens) * seen * s.attr.heads * s.attr.head_width;
    work_.attention += action.kind == Action::Kind::forward ? 2 * one : 5 * one;
  }

  const ProgramStorage& program_;
  const ParameterOptions& options_;
  const BatchShape& batch_;
  Multiplications work_;
};

/// Best of a few runs of about a fifteenth of a second together: others may have the processor for a moment.
template <typename F>
double best_seconds(const F& f) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  double best = 1e9;
  f();  // packing, page faults
  for (const auto begin = Clock::now(); since(begin) < 0.06;) {
    const auto start = Clock::now();
    f();
    best = std::min(best, since(start));
  }
  return best;
}

}  // namespace

StoredType stored_in(const Checkpoint& checkpoint) {
  return [&checkpoint](const ParamInfo& param) -> Result<DType> {
    KL_ASSIGN(const TensorView tensor, find_param(checkpoint, param));
    return tensor.dtype;
  };
}

Result<ParameterNeeds> parameter_needs(const ProgramStorage& program, const ParameterOptions& options,
                                       OptimizerKind optimizer, const StoredType& stored) {
  ParameterNeeds out;
  std::vector<Shape> orthogonal;  // muon's
  for (const ParamInfo& p : program.params) {
    const int64_t count = *p.shape.count();
    const uint64_t as_f32 = static_cast<uint64_t>(count) * sizeof(float);
    out.parameters += count;
    if (is_held_as_stored(p, options)) {
      KL_ASSIGN(const DType type, stored(p));
      if (is_held_as_nf4(p, options, type)) {
        out.weights += nf4_bytes(p.shape[0], p.shape[1]);
        continue;
      }
      const auto row = row_bytes(type, static_cast<uint64_t>(p.shape[1]));
      if (!row) return error(Code::unsupported, "{} cannot be held as {}", p.hf, name(type));
      out.weights += *row * static_cast<uint64_t>(p.shape[0]);
    } else {
      out.weights += as_f32;
    }
    if (!is_trained(p, options.trained)) continue;
    out.trained += count;
    out.gradients += as_f32;
    out.optimizer += optimizer_state_bytes(optimizer, p.shape, is_hidden(p));
    if (optimizer != OptimizerKind::muon || !is_hidden(p)) continue;
    orthogonal.push_back(p.shape);
    out.optimizer_work += muon_multiplications(p.shape);
  }
  if (optimizer == OptimizerKind::muon) {
    const KernelTable& kernels = *kernels_of(options);
    Ledger ledger;  // blocks that nobody touches take no memory
    KL_ASSIGN(const Products products, Products::create(kernels, gradient_kernels(kernels), options.parallel, ledger));
    out.optimizer += muon_scratch_bytes(orthogonal) + products.bytes();
  }
  return out;
}

Result<WalkNeeds> walk_needs(const ProgramStorage& program, const ParameterOptions& parameters,
                             const GraphOptions& options, const BatchShape& batch) {
  const KernelTable* kernels = find_kernels(options.kernels.c_str());
  if (kernels == nullptr)
    return error(Code::invalid_argument, "no kernels named '{}' on this processor", options.kernels);
  const GradientKernels& gradients = gradient_kernels(*kernels);
  KL_ASSIGN(const Dropout dropout, Dropout::create(options.dropout));
  KL_ASSIGN(const Tape tape, make_tape(program.view(), trained_mask(program, parameters.trained),
                                       {.dropout = dropout.any(), .checkpointing = options.checkpointing}));
  Ledger ledger;  // blocks that nobody touches take no memory
  KL_ASSIGN(Products products, Products::create(*kernels, gradients, options.parallel, ledger));
  const int32_t sequence[] = {0, static_cast<int32_t>(batch.tokens)};  // one long sequence takes the most
  int64_t scratch = 0;
  for (const Step& s : program.steps) {
    if (s.op == Op::attention)
      scratch = std::max(scratch, AttentionWalk::scratch_floats(gradients, s.attr, sequence, options.parallel.workers));
    if (s.op == Op::linear && is_held_as_stored(program.params[static_cast<size_t>(s.weight)], parameters))
      KL_TRY(products.reserve(batch.tokens, program.params[static_cast<size_t>(s.weight)].shape[1]));
  }
  const Extents extents = extents_of(program.view(), batch.tokens, batch.outputs);
  const int64_t floats = place_buffers(tape, extents).floats + scratch;
  return WalkNeeds{.bytes = static_cast<uint64_t>(floats) * sizeof(float) + products.bytes(),
                   .work = WorkCounter(program, parameters, batch).count(tape)};
}

Result<ProductSpeed> measure_products(const ParameterOptions& parameters, DType stored, int64_t batch_tokens,
                                      Compute compute) {
  constexpr int64_t kWidth = 1024;
  const int64_t T = std::clamp<int64_t>(batch_tokens, 16, 512);
  const KernelTable& kernels = *kernels_of(parameters);
  Ledger ledger;
  KL_ASSIGN(Products products,
            Products::create(kernels, gradient_kernels(kernels), parameters.parallel, ledger, compute));
  std::vector<float> x(static_cast<size_t>(T * kWidth)), y(x.size()), w(static_cast<size_t>(kWidth * kWidth));
  for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i % 17) - 8;
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 13) - 6;
  const Matrix in{x.data(), kWidth, T, kWidth}, out{y.data(), kWidth, T, kWidth};
  const double work = static_cast<double>(T * kWidth) * kWidth;
  Parameter weight{.name = {}, .shape = {kWidth, kWidth}, .values = w};
  ProductSpeed speed;
  speed.f32 = work / best_seconds([&] { products.forward(in, weight, nullptr, out, Write::store); });
  speed.stored_forward = speed.stored_backward = speed.f32;
  const QuantizeRow quantize = quantize_row(stored);
  if (parameters.frozen == FrozenForm::f32 || quantize == nullptr) return speed;
  std::vector<std::byte> rows(*tensor_bytes(stored, weight.shape)), panels, nf4(nf4_bytes(kWidth, kWidth));
  quantize(w.data(), static_cast<int64_t>(w.size()), rows.data());
  weight.values = {};
  weight.dtype = stored;
  weight.rows = rows.data();
  weight.row_bytes = rows.size() / kWidth;
  if (parameters.frozen == FrozenForm::nf4 && !is_quantized(stored))
    weight.nf4 = quantize_nf4({rows.data(), weight.row_bytes, dequantize_row(stored), kWidth, kWidth},
                              parameters.parallel, nf4.data());
  if (packs(kernels, stored)) {
    panels.resize(packed_bytes(weight) + 64);
    auto* aligned = reinterpret_cast<std::byte*>(round_up(reinterpret_cast<uintptr_t>(panels.data()), uintptr_t{64}));
    pack_panels(kernels, parameters.parallel, weight, aligned);
  }
  KL_TRY(products.reserve(T, kWidth));
  speed.stored_forward = work / best_seconds([&] {
                           if (products.reads(weight) != ActKind::f32)
                             products.convert_rows(in, products.reads(weight));
                           products.forward(in, weight, nullptr, out, Write::store);
                         });
  speed.stored_backward = work / best_seconds([&] { products.input_gradient(out, weight, in, Write::store); });
  return speed;
}

double seconds_of(const Multiplications& work, const ProductSpeed& speed) {
  return (work.f32 + work.attention) / speed.f32 + work.stored_forward / speed.stored_forward +
         work.stored_backward / speed.stored_backward;
}

}  // namespace kinglet::train
