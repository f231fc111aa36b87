// The inference plan of a program: fused launches and where every slot lies in one workspace.
//
// Planning reads the program once; running it touches no allocator. The canonical program is unfused; what the planner fuses, and
// when, is in exec/fuse.cc, and every fused launch has a test against its parts (Fusion::off).
#pragma once

#include <algorithm>
#include <span>

#include "base/arena.h"
#include "base/checked.h"
#include "kernels/kernels.h"
#include "spec/program.h"

namespace kinglet {

/// A parameter's values at run time. Linear weights and embeddings: `rows` in canonical layout, and `panels` once packed
/// (null: the product packs each panel first, into pack_into, or into scratch where there is no place for it). Norms and biases: f32
/// in `rows`.
struct ParamData {
  DType dtype = DType::f32;
  /// What the panels hold. f16 rows whose values bf16 has may be packed as bf16, which has faster products on some processors.
  DType panel_dtype = dtype;
  const std::byte* rows = nullptr;
  size_t row_bytes = 0;
  const std::byte* panels = nullptr;
  size_t panel_bytes = 0;
  /// Where the panels are to stand; who multiplies one first packs it there, or copies it where `panels` has it already. Null: they stay.
  std::byte* pack_into = nullptr;
};

/// What one launch does. Row-wise ones run over rows in parallel, linear ones over panels, attention over heads and tiles.
enum class LaunchKind : uint8_t {
  embed,
  norm,          ///< rms_norm or layer_norm, and converted rows where a linear wants them
  linear,        ///< 1 to 3 linear steps that read one slot, into their own outputs; `add` fuses a residual
  gated_linear,  ///< gate and up products and their activation, tile by tile
  rope,
  rope_store,   ///< head norms and rope of q and k, and the store of k and v, token by token
  attention,    ///< stores k and v first unless rope_store did
  elementwise,  ///< gated, add, scale, softcap
  select,
};

/// Bytes of a worker's scratch for a panel that is packed on the fly, and for its rows in another type where they change it.
constexpr size_t packing_scratch_bytes(const ParamData& p) {
  return round_up<size_t>(p.panel_bytes, 64) * (p.panel_dtype == p.dtype ? 1 : 2);
}

struct Launch {
  static constexpr int kMaxSteps = 8;
  LaunchKind kind;
  uint8_t count = 0;                   ///< of steps
  int32_t steps[kMaxSteps];            ///< canonical steps it stands for, in order
  ActKind convert_out = ActKind::f32;  ///< norm: also writes rows of this kind
  ActKind convert_in = ActKind::f32;   ///< linear: makes rows of this kind of its input first
  bool residual = false;               ///< linear: the last step is the add
  bool stored = false;                 ///< attention: rope_store has stored k and v
  bool selected = false;               ///< attention: only the rows that outputs are asked for are read of it
  int16_t owner = kNone;               ///< the adapter whose rows alone it computes; kNone: every row
};

/// Place of a slot: byte offset in the workspace of its first value, and floats from row to row.
struct Place {
  size_t offset = SIZE_MAX;  ///< SIZE_MAX: never materialized
  int64_t stride = 0;
};

inline constexpr int kAttentionTileRows = 64;  ///< query rows (queries x group) of one attention work item

/// Panels of gate and up that one work item multiplies at most, for T tokens: many for a few tokens, who wait for weights and read them
/// faster in long stretches (decode of 0.3B to 1.2B models: 9% to 19%), few for many, whose gates stay in the cache until they are used.
inline constexpr int64_t kFewGatedTokens = 8;
constexpr int gated_tile_panels(int64_t T) { return T <= kFewGatedTokens ? 16 : 4; }

/// Worker scratch that holds the up product of one gated tile of T tokens or fewer.
constexpr size_t gated_tile_bytes(int64_t T) {
  const int64_t panels =
      std::max(T * gated_tile_panels(T), std::min(T, kFewGatedTokens) * gated_tile_panels(kFewGatedTokens));
  return static_cast<size_t>(panels) * kPanelRows * sizeof(float);
}

/// Floats of one AttentionState of `rows` rows: max and sum, then acc on a 64-byte border.
constexpr size_t attention_state_floats(int64_t rows, int64_t D) {
  return static_cast<size_t>(round_up<int64_t>(2 * rows, 16) + round_up<int64_t>(rows * D, 16));
}

enum class Fusion : uint8_t { on, off };

struct PlanOptions {
  int64_t max_tokens = 512;    ///< T of the largest batch
  int64_t max_outputs = 512;   ///< R
  int64_t max_context = 4096;  ///< longest sequence, in positions
  int workers = 1;
  Fusion fusion = Fusion::on;
  DType kv_type = DType::f16;
  int64_t few_tokens = 0;  ///< MatmulArgs::few
  /// For each step the adapter (BatchSequence::adapter) whose rows alone it computes, or kNone; must outlive the plan. Such steps
  /// are f32 products, scalings, and sums onto their first input. Empty: every step computes every row.
  std::span<const int16_t> owners{};
};

struct Plan {
  Program program;
  PlanOptions options;
  const KernelTable* kernels = nullptr;
  std::span<const Launch> launches;
  std::span<const Place> places;  ///< one for each slot
  size_t act_offset = 0;          ///< rows of the current linear input in the form that its kernels read
  size_t act_stride = 0;
  size_t rope_offset = 0;       ///< cos and sin of each rope table, (T, rotary) floats a table
  size_t partials_offset = 0;   ///< attention states of parallel splits
  size_t scratch_offset = 0;    ///< first worker's scratch
  size_t scratch_stride = 0;    ///< bytes a worker
  size_t workspace_bytes = 0;   ///< 64-byte aligned memory that forward() needs
  size_t activation_bytes = 0;  ///< of it, slots

  int64_t slot_rows(SlotId slot) const {
    return program.slots[static_cast<size_t>(slot)].rows == Rows::tokens ? options.max_tokens : options.max_outputs;
  }
};

/// Bytes of arena memory that make_plan() needs for `program`.
size_t plan_arena_bytes(const Program& program);

/// Plans `program` (validated) for `params`' data types (one for each parameter). Errors: resource_exhausted where the arena is too
/// small or sizes overflow.
Result<Plan> make_plan(const Program& program, std::span<const ParamData> params, const KernelTable& kernels,
                       const PlanOptions& options, Arena& arena);

/// The fused launches of a program (exec/fuse.cc); `launches` has room for one a step. Returns how many there are.
size_t fuse(const Program& program, std::span<const ParamData> params, const KernelTable& kernels,
            const PlanOptions& options, std::span<Launch> launches, std::span<int32_t> use_counts);

}  // namespace kinglet
