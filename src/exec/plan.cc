// Where slots lie: liveness over launches, in-place operators, first fit.
#include <algorithm>

#include "exec/plan.h"

namespace kinglet {
namespace {

constexpr size_t kAlign = 64;
constexpr int32_t kForever = INT32_MAX;

// A piece of workspace that one slot (and what is computed in place of it) occupies over a range of launches.
struct Piece {
  int64_t stride = 0;  // floats
  size_t bytes = 0;
  int32_t begin = 0;
  int32_t end = 0;
  size_t offset = 0;
};

// Slot -> piece and column.
struct Home {
  int32_t piece = kNone;
  int32_t column = 0;
};

class Planner {
 public:
  Planner(Plan& plan, std::span<const ParamData> params, Arena& arena)
      : plan_(plan), p_(plan.program), params_(params), arena_(arena) {}

  Status run() {
    const size_t steps = p_.steps.size(), slots = p_.slots.size();
    auto launches = arena_.array<Launch>(2 * steps);
    auto uses = arena_.array<int32_t>(slots);
    last_use_ = arena_.array<int32_t>(slots);
    homes_ = arena_.array<Home>(slots);
    pieces_ = arena_.array<Piece>(slots);
    auto places = arena_.array<Place>(slots);
    if (!arena_.ok()) return Status(Code::resource_exhausted, "the plan's arena is too small");
    launches = launches.first(fuse(p_, params_, *plan_.kernels, plan_.options, launches, uses));
    plan_.launches = launches;
    find_last_uses();
    for (size_t i = 0; i < launches.size(); ++i) KL_TRY(home_outputs(launches[i], static_cast<int32_t>(i)));
    size_t top = 0;
    for (int32_t i = 0; i < piece_count_; ++i) top = std::max(top, fit(i));
    for (size_t s = 0; s < slots; ++s) places[s] = place_of_slot(static_cast<SlotId>(s));
    plan_.places = places;
    plan_.activation_bytes = top;
    return lay_out_rest(top);
  }

 private:
  const Step& step(int32_t i) const { return p_.steps[static_cast<size_t>(i)]; }

  // Reads of a view keep its base alive through the base's own last use.
  void find_last_uses() {
    for (int32_t& last : last_use_) last = kNone;
    for (size_t i = 0; i < plan_.launches.size(); ++i) {
      const Launch& launch = plan_.launches[i];
      for (int j = 0; j < launch.count; ++j)
        for (SlotId in : step(launch.steps[j]).in) touch(in, static_cast<int32_t>(i));
    }
    for (SlotId out : {p_.logits, p_.hidden})
      if (out != kNone) last_use_[static_cast<size_t>(out)] = kForever;
  }
  void touch(SlotId slot, int32_t launch) {
    if (slot != kNone) last_use_[static_cast<size_t>(slot)] = launch;
  }

  // The output of a launch's last step always has a home; which others do depends on the kind.
  Status home_outputs(const Launch& launch, int32_t now) {
    switch (launch.kind) {
      case LaunchKind::gated_linear:
        return home(step(launch.steps[launch.count - 1]).out, now);
      case LaunchKind::rope_store:
        return home_in_place_chain(launch, now);
      case LaunchKind::linear:
        if (launch.residual) return alias(step(launch.steps[1]).out, step(launch.steps[1]).in[0], now);
        for (int j = 0; j < launch.count; ++j) KL_TRY(home(step(launch.steps[j]).out, now));
        return ok_status();
      default: {
        const Step& s = step(launch.steps[0]);
        const bool in_place = launch.kind == LaunchKind::elementwise || launch.kind == LaunchKind::rope ||
                              (launch.kind == LaunchKind::norm && s.attr.heads > 0);
        return in_place ? home_in_place(s, now) : home(s.out, now);
      }
    }
  }

  Status home_in_place_chain(const Launch& launch, int32_t now) {
    for (int j = 0; j < launch.count; ++j) KL_TRY(home_in_place(step(launch.steps[j]), now));
    return ok_status();
  }

  Status home_in_place(const Step& s, int32_t now) {
    if (can_overwrite(s.in[0], now)) return alias(s.out, s.in[0], now);
    return home(s.out, now);
  }

  // Whether nobody reads the columns of `slot` after launch `now`.
  bool can_overwrite(SlotId slot, int32_t now) {
    const Home mine = resolve(slot);
    const int32_t begin = mine.column, end = begin + p_.slots[static_cast<size_t>(slot)].width;
    for (size_t s = 0; s < p_.slots.size(); ++s) {
      if (last_use_[s] <= now) continue;
      const Home other = resolve(static_cast<SlotId>(s));
      if (other.piece == mine.piece && other.column < end && begin < other.column + p_.slots[s].width) return false;
    }
    return true;
  }

  Home resolve(SlotId slot) const {
    const SlotPlace at = kinglet::place_of(p_, slot);
    Home home = homes_[static_cast<size_t>(at.root)];
    home.column += at.column;
    return home;
  }

  int32_t last_use_with_views(SlotId slot) const {
    int32_t last = last_use_[static_cast<size_t>(slot)];
    for (size_t s = static_cast<size_t>(slot) + 1; s < p_.slots.size() && p_.slots[s].base != kNone; ++s)
      if (kinglet::place_of(p_, static_cast<SlotId>(s)).root == slot) last = std::max(last, last_use_[s]);
    return last;
  }

  Status home(SlotId slot, int32_t now) {
    const int64_t stride = round_up<int64_t>(p_.slots[static_cast<size_t>(slot)].width, 16);
    const auto floats = checked_mul<int64_t>(stride, plan_.slot_rows(slot));
    const auto bytes = floats ? checked_mul<int64_t>(*floats, 4) : std::nullopt;
    if (!bytes) return Status(Code::resource_exhausted, "activations overflow");
    pieces_[static_cast<size_t>(piece_count_)] = {stride, static_cast<size_t>(*bytes), now,
                                                  std::max(now, last_use_with_views(slot)), 0};
    homes_[static_cast<size_t>(slot)] = {piece_count_++, 0};
    return ok_status();
  }

  Status alias(SlotId slot, SlotId onto, int32_t now) {
    const Home home = resolve(onto);
    Piece& piece = pieces_[static_cast<size_t>(home.piece)];
    piece.end = std::max({piece.end, now, last_use_with_views(slot)});
    homes_[static_cast<size_t>(slot)] = home;
    return ok_status();
  }

  // Lowest offset that is free while piece i lives; pieces before it in the list are placed already.
  size_t fit(int32_t i) {
    Piece& mine = pieces_[static_cast<size_t>(i)];
    const size_t bytes = round_up(mine.bytes, kAlign);
    size_t offset = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (int32_t j = 0; j < i; ++j) {
        const Piece& other = pieces_[static_cast<size_t>(j)];
        const bool together = other.begin <= mine.end && mine.begin <= other.end;
        const size_t end = other.offset + round_up(other.bytes, kAlign);
        if (together && offset < end && other.offset < offset + bytes) {
          offset = end;
          moved = true;
        }
      }
    }
    mine.offset = offset;
    return offset + bytes;
  }

  Place place_of_slot(SlotId slot) const {
    const Home home = resolve(slot);
    if (home.piece == kNone) return {};
    const Piece& piece = pieces_[static_cast<size_t>(home.piece)];
    return {piece.offset + static_cast<size_t>(home.column) * sizeof(float), piece.stride};
  }

  Status lay_out_rest(size_t top) {
    const PlanOptions& o = plan_.options;
    const auto take = [&top](size_t bytes) {
      const size_t at = top;
      top += round_up(bytes, kAlign);
      return at;
    };
    plan_.act_stride = widest_act_row();
    plan_.act_offset = take(plan_.act_stride * static_cast<size_t>(std::max(o.max_tokens, o.max_outputs)));
    size_t rope_floats = 0;
    for (const RopeTable& table : p_.ropes) rope_floats += 2 * table.freq.size() * static_cast<size_t>(o.max_tokens);
    plan_.rope_offset = take(rope_floats * sizeof(float));
    plan_.partials_offset = take(partial_bytes());
    plan_.scratch_stride = round_up(widest_scratch(), kAlign);
    plan_.scratch_offset = take(plan_.scratch_stride * static_cast<size_t>(o.workers));
    plan_.workspace_bytes = top;
    return ok_status();
  }

  size_t widest_act_row() const {
    size_t widest = 0;
    for (const Step& s : p_.steps) {
      if (s.op != Op::linear || kernels_of(s).act == ActKind::f32) continue;
      widest = std::max(widest, plan_.kernels->act_row_bytes(p_.params[static_cast<size_t>(s.weight)].shape[1]));
    }
    return widest;
  }

  size_t widest_scratch() const {
    size_t widest = 0;
    const int64_t T = std::max(plan_.options.max_tokens, plan_.options.max_outputs);
    for (const Launch& launch : plan_.launches)
      for (int j = 0; j < launch.count; ++j) widest = std::max(widest, step_scratch(launch, step(launch.steps[j]), T));
    return widest;
  }
  size_t step_scratch(const Launch& launch, const Step& s, int64_t T) const {
    if (s.op == Op::linear) {
      const WeightKernels& k = kernels_of(s);
      const int64_t K = p_.params[static_cast<size_t>(s.weight)].shape[1];
      size_t bytes = k.matmul_scratch_bytes ? round_up(k.matmul_scratch_bytes(T, K), kAlign) : 0;
      bytes += round_up(packing_scratch_bytes(params_[static_cast<size_t>(s.weight)]), kAlign);
      if (launch.kind == LaunchKind::gated_linear) bytes += round_up(gated_tile_bytes(T), kAlign);
      return bytes;
    }
    if (s.op == Op::attention) return attention_scratch(s);
    return 0;
  }
  const WeightKernels& kernels_of(const Step& s) const {
    return plan_.kernels->weights[static_cast<size_t>(params_[static_cast<size_t>(s.weight)].panel_dtype)];
  }
  size_t attention_scratch(const Step& s) const {
    const auto rows = static_cast<int32_t>(attention_tile_rows(s));
    // Two states (the sum so far and one split) and the kernel's own.
    const size_t state = attention_state_floats(rows, s.attr.head_width) * sizeof(float);
    return 2 * state + round_up(plan_.kernels->attention_scratch_bytes(rows, s.attr.head_width), kAlign);
  }
  static int64_t attention_tile_rows(const Step& s) {
    const int64_t group = s.attr.heads / s.attr.kv_heads;
    return std::max<int64_t>(1, kAttentionTileRows / group) * group;
  }
  size_t partial_bytes() const {
    size_t widest = 0;
    const int64_t splits = ceil_div<int64_t>(plan_.options.max_context, kSplitTokens);
    for (const Step& s : p_.steps)
      if (s.op == Op::attention) {
        const int64_t rows = s.attr.heads / s.attr.kv_heads;
        const size_t states = static_cast<size_t>(2 * plan_.options.workers * splits);
        widest = std::max(widest, states * attention_state_floats(rows, s.attr.head_width) * sizeof(float));
      }
    return widest;
  }

  Plan& plan_;
  const Program& p_;
  std::span<const ParamData> params_;
  Arena& arena_;
  std::span<int32_t> last_use_;
  std::span<Home> homes_;
  std::span<Piece> pieces_;
  int32_t piece_count_ = 0;
};

}  // namespace

size_t plan_arena_bytes(const Program& program) {
  const size_t steps = program.steps.size(), slots = program.slots.size();
  return 2 * steps * sizeof(Launch) + slots * (2 * sizeof(int32_t) + sizeof(Home) + sizeof(Piece) + sizeof(Place)) +
         1024;
}

Result<Plan> make_plan(const Program& program, std::span<const ParamData> params, const KernelTable& kernels,
                       const PlanOptions& options, Arena& arena) {
  if (params.size() != program.params.size()) return Status(Code::internal, "one ParamData for each parameter");
  if (!options.owners.empty() && options.owners.size() != program.steps.size())
    return Status(Code::internal, "one owner for each step");
  Plan plan{.program = program, .options = options, .kernels = &kernels};
  KL_TRY(Planner(plan, params, arena).run());
  return plan;
}

}  // namespace kinglet
