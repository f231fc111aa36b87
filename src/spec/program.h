// A model's computation as plain data: a straight-line program of coarse operators over slots.
//
// Built once by a file of arch/ and read by everyone: the inference planner, the backward walker, the pruner, the FLOP
// counter, the microcontroller. Steps are trivially copyable, hold no pointers and no strings; names lie in a side table
// (arch/builder.h). Axis alphabet: T tokens, C model width, H heads, G key-value heads, D head width, F feed-forward width,
// V vocabulary, L layers, R rows that outputs are asked for.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/status.h"
#include "tensor/shape.h"

namespace kinglet {

enum class Op : uint8_t {
#define KINGLET_OP(name, inputs, text) name,
#include "spec/ops.def"
#undef KINGLET_OP
};

struct OpInfo {
  std::string_view name;
  int inputs;
  std::string_view text;
};
const OpInfo& info(Op op);

using SlotId = int32_t;
using ParamId = int32_t;
inline constexpr int32_t kNone = -1;

/// How many rows a slot has.
enum class Rows : uint8_t {
  tokens,   ///< T
  outputs,  ///< R
};

/// A value: f32, (rows, width). A slot with a base is a view of columns [offset, offset + width) of that slot.
struct Slot {
  int32_t width = 0;
  SlotId base = kNone;
  int32_t offset = 0;
  Rows rows = Rows::tokens;
};

/// What an operator reads beside its slots; ops.def says which fields. Unused ones stay zero.
struct Attr {
  float eps = 0;
  float factor = 0;
  float scale = 0;
  float softcap = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_width = 0;
  int32_t rotary = 0;
  int32_t rope = kNone;      ///< index of the rope table
  int32_t kv_layer = kNone;  ///< which key-value cache
  int32_t window = 0;        ///< 0: none
  bool interleaved = false;
  bool causal = true;
};

struct Step {
  Op op;
  int16_t layer = kNone;  ///< for people and for per-layer choices; kNone outside the layers
  SlotId in[3] = {kNone, kNone, kNone};
  SlotId out = kNone;
  ParamId weight = kNone;
  ParamId bias = kNone;
  Attr attr;
};
static_assert(std::is_trivially_copyable_v<Step>);

/// A parameter's shape; steps that share a parameter name the same id.
struct ParamShape {
  Shape shape;  ///< (N, K) for linear and embed, (n) for norms and biases
};

/// Inverse frequencies (rotary / 2 each) of a rotary embedding. Where long_freq is not empty (longrope), sequences longer than
/// original_context use it in place of freq. cos and sin are multiplied by magnitude.
struct RopeTable {
  std::span<const float> freq;
  std::span<const float> long_freq;
  int64_t original_context = 0;
  float magnitude = 1.0f;
};

/// Views of a program's arrays; the owner is arch/builder.h's ProgramStorage (or a flash image).
struct Program {
  std::span<const Step> steps;
  std::span<const Slot> slots;
  std::span<const ParamShape> params;
  std::span<const RopeTable> ropes;
  SlotId logits = kNone;  ///< (R, V)
  SlotId hidden = kNone;  ///< (R, C) that the output head reads
  int32_t kv_layers = 0;
  int32_t kv_heads = 0;    ///< G, the same in every layer
  int32_t head_width = 0;  ///< D
};

/// The slot whose memory `slot` lies in, and the column where it begins.
struct SlotPlace {
  SlotId root;
  int32_t column;
};
SlotPlace place_of(const Program& program, SlotId slot);

/// Checks every step against the operators' shape rules: ids in range, slots written before they are read and written once,
/// widths and parameter shapes that fit. What passes can be planned and run without further checks.
/// Errors: invalid_argument, "step 12 (linear): weight is (64, 32), input is 48 wide".
Status validate(const Program& program);

}  // namespace kinglet
