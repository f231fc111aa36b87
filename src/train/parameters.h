// The values of a program's parameters while it is trained, and the gradients of those that are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "arch/builder.h"
#include "base/parallel.h"
#include "formats/checkpoint.h"
#include "host/memory.h"
#include "kernels/kernels.h"
#include "train/nf4.h"

namespace kinglet::train {

struct Parameter {
  std::string name;           ///< Hugging Face's
  Shape shape;                ///< (N, K) for matrices, (n) for norms and biases
  std::span<float> values;    ///< f32; empty where a frozen matrix is held as its file stores it
  std::span<float> gradient;  ///< as many; empty: frozen
  bool decay = false;         ///< matrices; not norms and biases
  bool hidden = false;        ///< a layer's matrix: neither embedding nor output head, no vector
  /// What weight decay pulls towards: 1 for norms that are held as 1 + w (Gemma; Hugging Face stores value - origin), else 0.
  float origin = 0;
  /// A frozen matrix held as stored: rows of `dtype` in the checkpoint's map, row_bytes apart, and where the kernels multiply
  /// that type as int8 its panels (kernels/kernels.h).
  DType dtype = DType::f32;
  const std::byte* rows = nullptr;
  size_t row_bytes = 0;
  const std::byte* panels = nullptr;
  const char* packing = "";  ///< of the panels (KernelTable::packing)
  Nf4Matrix nf4 = {};        ///< a frozen matrix held as NF4: then neither rows nor panels are there

  size_t panel_bytes() const { return row_bytes * kPanelRows; }
  int64_t count() const { return *shape.count(); }
  bool trained() const { return !gradient.empty(); }
};

/// Which parameters have a gradient.
enum class Trained : uint8_t {
  all,
  adapters,  ///< those of adapters (arch/adapter.h) alone
  none,
};

/// How frozen matrices are held.
enum class FrozenForm : uint8_t {
  f32,
  as_stored,  ///< never expanded: quantized ones packed for the int8 kernels, the rest in the checkpoint's map
  nf4,        ///< as_stored, but the layers' unquantized linear weights as NF4 (train/nf4.h)
};

struct ParameterOptions {
  Trained trained = Trained::all;
  FrozenForm frozen = FrozenForm::f32;
  // For as_stored and nf4: whose panels, and who packs them.
  const KernelTable* kernels = nullptr;  ///< null: the best; the graph must have the same
  Parallel parallel = Parallel::serial();
};

/// Whether a parameter gets a gradient, and whether it stays in the form of its file.
bool is_trained(const ParamInfo& param, Trained which);
bool is_held_as_stored(const ParamInfo& param, const ParameterOptions& options);
/// Whether it is a layer's matrix (Parameter::hidden).
bool is_hidden(const ParamInfo& param);
/// Whether a parameter that a file stores as `stored` becomes NF4. Rows must be whole blocks.
bool is_held_as_nf4(const ParamInfo& param, const ParameterOptions& options, DType stored);

/// Whether products with weights of this type read panels; and, of a parameter whose rows are there, the bytes of its panels
/// and the making of them at `to` (on a cache line), which becomes Parameter::panels. Canonical layouts take none.
bool packs(const KernelTable& kernels, DType type);
size_t packed_bytes(const Parameter& p);
void pack_panels(const KernelTable& kernels, const Parallel& parallel, Parameter& p, std::byte* to);

class Parameters {
 public:
  /// The checkpoint's values, dequantized unless the options say otherwise (then the checkpoint must live as long). Adapters' come from the program (ParamInfo::values) and are copied.
  /// Errors: not_found, corrupt (shape, values that are not finite), unsupported (a data type), resource_exhausted.
  static Result<Parameters> load(const Checkpoint& checkpoint, const ProgramStorage& program,
                                 const ParameterOptions& options, Ledger& ledger);
  /// As transformers begins a model: matrices from N(0, 0.02^2), norms one, biases zero. All are trained. The same seed
  /// gives the same values.
  static Result<Parameters> random(const ProgramStorage& program, uint64_t seed, Ledger& ledger);

  /// One for each parameter of the program, in its order.
  std::span<Parameter> all() { return parameters_; }
  std::span<const Parameter> all() const { return parameters_; }
  const Parameter& operator[](ParamId id) const { return parameters_[static_cast<size_t>(id)]; }
  Parameter& operator[](ParamId id) { return parameters_[static_cast<size_t>(id)]; }

  int64_t trained_values() const;  ///< how many values are trained
  void zero_gradients(const Parallel& parallel);

 private:
  Status make_nf4(const ProgramStorage& program, const ParameterOptions& options, Ledger& ledger);
  Status pack(const ProgramStorage& program, const ParameterOptions& options, Ledger& ledger);
  static Result<Parameters> allocate(const ProgramStorage& program, const ParameterOptions& options, Ledger& ledger);

  std::vector<Parameter> parameters_;
  Block values_, gradients_, panels_, nf4_;
};

}  // namespace kinglet::train
