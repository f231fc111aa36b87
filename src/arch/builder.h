// How an architecture file writes its program: each call appends a step and declares the parameters it reads, with their
// names in GGUF and in Hugging Face files.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/hyper.h"
#include "spec/program.h"

namespace kinglet {

enum class ParamKind : uint8_t { embedding, linear, norm, bias };

/// The rows of W + scale B A, by the parameters that W, A and B are.
struct AdaptedRows {
  ParamId base = kNone, a = kNone, b = kNone;
  float scale = 0;
};

/// The side table of a parameter: what people and files call it.
struct ParamInfo {
  std::string gguf;  ///< "blk.3.attn_q.weight"
  std::string hf;    ///< "model.layers.3.self_attn.q_proj.weight"
  Shape shape;
  ParamKind kind = ParamKind::linear;
  int32_t layer = kNone;
  /// > 0: GGUF stores the rows of each of these heads in interleaved rope order, Hugging Face in halves.
  int32_t interleaved_heads = 0;
  /// GGUF stores 1 + w where Hugging Face stores w (Gemma's norms). In memory it is always 1 + w.
  bool plus_one = false;
  /// Adapters: the values, in place of a tensor of the model's files.
  std::span<const float> values = {};
  /// Magnitudes that are trained (DoRA): a gain multiplies with them over the norms of these rows.
  AdaptedRows norms = {};
};

/// A program with the arrays it views. Move-only: the views point into it.
struct ProgramStorage {
  std::vector<Step> steps;
  std::vector<Slot> slots;
  std::vector<ParamShape> shapes;
  std::vector<ParamInfo> params;  ///< one for each of `shapes`
  std::vector<RopeTable> ropes;
  std::vector<std::vector<float>> rope_values;
  SlotId logits = kNone, hidden = kNone;
  int32_t kv_layers = 0, kv_heads = 0, head_width = 0;

  ProgramStorage() = default;
  ProgramStorage(ProgramStorage&&) = default;
  ProgramStorage& operator=(ProgramStorage&&) = default;
  Program view() const { return {steps, slots, shapes, ropes, logits, hidden, kv_layers, kv_heads, head_width}; }
};

/// Names of a parameter without the layer's prefix and without ".weight"; inside begin_layer(l) they become
/// "blk.l.GGUF.weight" and "model.layers.l.HF.weight".
struct Names {
  std::string_view gguf;
  std::string_view hf;
};

enum class Bias { no, yes };
enum class NormStyle { plain, plus_one };

class Builder {
 public:
  /// `interleaved`: the weights at hand are a GGUF whose q and k rows lie in interleaved rope order (llama family).
  Builder(const Hyper& hyper, bool weights_are_gguf) : h_(hyper), gguf_(weights_are_gguf) {}

  void begin_layer(int64_t layer) { layer_ = static_cast<int32_t>(layer); }
  void end_layers() { layer_ = kNone; }

  SlotId embed(Names names, int64_t vocabulary, int64_t width);
  SlotId rms_norm(SlotId x, Names names, NormStyle style = NormStyle::plain);
  /// Normalizes each head of `heads` on its own with one weight (head_width).
  SlotId head_norm(SlotId x, Names names, int64_t heads, int64_t head_width, NormStyle style = NormStyle::plain);
  SlotId linear(SlotId x, Names names, int64_t width, Bias bias = Bias::no);
  /// As linear, for projections that rope turns next and whose rows GGUF's llama family permutes.
  SlotId rope_linear(SlotId x, Names names, int64_t heads, int64_t head_width);
  /// Output head: the embedding's own weight where the model is tied.
  SlotId head(SlotId x, Names names, Names embedding, bool tied);
  SlotId columns(SlotId x, int64_t offset, int64_t width);

  /// Table of the hyper-parameters' rope with the given base and scaling (arch/rope.h); returns its index.
  int32_t rope_table(double base, const RopeScaling& scaling);
  enum class RopeStyle { half, as_stored };  ///< as_stored: interleaved where the weights are a GGUF
  SlotId rope(SlotId x, int64_t heads, int32_t table, RopeStyle style);

  /// Causal attention of q over its layer's cache, to which k and v are appended; the layer's window is the hyper-parameters'.
  SlotId attention(SlotId q, SlotId k, SlotId v);
  SlotId gated(Op op, SlotId gate, SlotId up);
  SlotId add(SlotId a, SlotId b);
  SlotId scale(SlotId x, double factor);  ///< a factor of 1 adds no step
  SlotId softcap(SlotId x, double cap);   ///< a cap of 0 adds no step
  SlotId select_outputs(SlotId x);

  /// Ends the program at `logits` (R, V).
  Result<ProgramStorage> finish(SlotId logits, SlotId hidden);

 private:
  SlotId new_slot(int64_t width, Rows rows);
  Step& append(Op op, SlotId a = kNone, SlotId b = kNone, SlotId c = kNone);
  SlotId unary(Op op, SlotId x, int64_t width, Attr attr = {}, ParamId weight = kNone, ParamId bias = kNone);
  ParamId param(Names names, std::string_view suffix, Shape shape, ParamKind kind);
  int64_t width(SlotId s) const { return p_.slots[static_cast<size_t>(s)].width; }
  Rows rows(SlotId s) const { return p_.slots[static_cast<size_t>(s)].rows; }

  const Hyper& h_;
  bool gguf_;
  int32_t layer_ = kNone;
  ProgramStorage p_;
};

}  // namespace kinglet
