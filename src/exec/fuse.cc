// Which canonical steps one launch stands for.
#include "exec/plan.h"

namespace kinglet {
namespace {

class Fuser {
 public:
  Fuser(const Program& program, std::span<const ParamData> params, const KernelTable& kernels,
        std::span<const int16_t> owners, std::span<int32_t> uses)
      : p_(program), params_(params), kernels_(kernels), owners_(owners), uses_(uses) {
    for (const Step& step : p_.steps)
      for (SlotId in : step.in)
        if (in != kNone) ++uses_[static_cast<size_t>(in)];
    for (const Slot& slot : p_.slots)
      if (slot.base != kNone) ++uses_[static_cast<size_t>(slot.base)];
    for (SlotId out : {p_.logits, p_.hidden})
      if (out != kNone) ++uses_[static_cast<size_t>(out)];
  }

  Launch next(size_t first, Fusion fusion) const {
    Launch launch{.kind = kind_of(step(first).op), .owner = owner(first)};
    push(launch, first);
    if (fusion == Fusion::on) widen(launch, first);
    return launch;
  }

  /// Whether a slot is read by selections of output rows alone.
  bool is_only_selected(SlotId slot) const {
    for (const Step& s : p_.steps)
      for (SlotId in : s.in)
        if (in != kNone && place_of(p_, in).root == slot && s.op != Op::select) return false;
    return slot != p_.logits && slot != p_.hidden;
  }

  /// What a linear step's kernels read.
  ActKind kind(const Step& s) const {
    return kernels_.weights[static_cast<size_t>(params_[static_cast<size_t>(s.weight)].panel_dtype)].act;
  }

 private:
  const Step& step(size_t i) const { return p_.steps[i]; }
  int16_t owner(size_t i) const { return owners_.empty() ? int16_t{kNone} : owners_[i]; }
  bool is(size_t i, Op op) const { return i < p_.steps.size() && p_.steps[i].op == op; }
  bool used_once(SlotId slot) const { return uses_[static_cast<size_t>(slot)] == 1; }
  static void push(Launch& launch, size_t i) { launch.steps[launch.count++] = static_cast<int32_t>(i); }

  static LaunchKind kind_of(Op op) {
    switch (op) {
      case Op::embed:
        return LaunchKind::embed;
      case Op::rms_norm:
      case Op::layer_norm:
        return LaunchKind::norm;
      case Op::linear:
        return LaunchKind::linear;
      case Op::rope:
        return LaunchKind::rope;
      case Op::attention:
        return LaunchKind::attention;
      case Op::silu_mul:
      case Op::gelu_tanh_mul:
      case Op::gelu_mul:
      case Op::add:
      case Op::scale:
      case Op::gain:
      case Op::softcap:
        return LaunchKind::elementwise;
      case Op::select:
        return LaunchKind::select;
    }
    return LaunchKind::elementwise;
  }

  static bool is_gated(Op op) { return op == Op::silu_mul || op == Op::gelu_tanh_mul || op == Op::gelu_mul; }

  void widen(Launch& launch, size_t first) const {
    if (launch.kind == LaunchKind::linear) {
      if (try_gated(launch, first) || try_residual(launch, first)) return;
      while (launch.count < 3 && is(first + launch.count, Op::linear) && owner(first + launch.count) == launch.owner &&
             step(first + launch.count).in[0] == step(first).in[0] &&
             kind(step(first + launch.count)) == kind(step(first)) && !starts_gated(first + launch.count))
        push(launch, first + launch.count);
    } else if (launch.kind == LaunchKind::norm || launch.kind == LaunchKind::rope) {
      try_rope_store(launch, first);
    }
  }

  // linear gate, linear up (or one linear viewed as both), gated: the products are used by the activation alone.
  bool starts_gated(size_t first) const {
    Launch probe{.kind = LaunchKind::linear};
    push(probe, first);
    return try_gated(probe, first);
  }
  bool try_gated(Launch& launch, size_t first) const {
    const Step& gate = step(first);
    const size_t act = is(first + 1, Op::linear) && step(first + 1).in[0] == gate.in[0] ? first + 2 : first + 1;
    if (act >= p_.steps.size() || !is_gated(step(act).op)) return false;
    const Step& gated = step(act);
    if (act == first + 2) {
      const Step& up = step(first + 1);
      if (gated.in[0] != gate.out || gated.in[1] != up.out || !used_once(gate.out) || !used_once(up.out)) return false;
      if (kind(gate) != kind(up)) return false;
      push(launch, first + 1);
    } else {
      const Slot& g = p_.slots[static_cast<size_t>(gated.in[0])];
      const Slot& u = p_.slots[static_cast<size_t>(gated.in[1])];
      const bool views = g.base == gate.out && u.base == gate.out && g.offset == 0 && u.offset == g.width &&
                         g.width % kPanelRows == 0 && uses_[static_cast<size_t>(gate.out)] == 2;
      if (!views || !used_once(gated.in[0]) || !used_once(gated.in[1])) return false;
    }
    push(launch, act);
    launch.kind = LaunchKind::gated_linear;
    return true;
  }

  // linear, add(x, y): y is used by the add alone and x by nothing later, so the product is added in place.
  bool try_residual(Launch& launch, size_t first) const {
    if (!is(first + 1, Op::add)) return false;
    const Step& add = step(first + 1);
    const SlotId y = step(first).out, x = add.in[0];
    if (add.in[1] != y || x == y || !used_once(y) || p_.slots[static_cast<size_t>(x)].base != kNone) return false;
    for (size_t i = first + 2; i < p_.steps.size(); ++i)
      for (SlotId in : step(i).in)
        if (in == x) return false;
    if (x == p_.logits || x == p_.hidden || step(first).in[0] == x) return false;
    push(launch, first + 1);
    launch.residual = true;
    return true;
  }

  // [head norm] rope of q, [head norm] rope of k, where the attention of these two follows: one pass over tokens, which also stores k and v.
  void try_rope_store(Launch& launch, size_t first) const {
    Launch wide{.kind = LaunchKind::rope_store};
    size_t i = first;
    SlotId turned[2];
    for (SlotId& out : turned) {
      if (is(i, Op::rms_norm) && step(i).attr.heads > 0 && is(i + 1, Op::rope) && step(i + 1).in[0] == step(i).out &&
          used_once(step(i).out))
        push(wide, i++);
      if (!is(i, Op::rope)) return;
      out = step(i).out;
      push(wide, i++);
    }
    if (!is(i, Op::attention) || step(i).in[0] != turned[0] || step(i).in[1] != turned[1] || !used_once(turned[1]))
      return;
    launch = wide;
  }

  const Program& p_;
  std::span<const ParamData> params_;
  const KernelTable& kernels_;
  std::span<const int16_t> owners_;
  std::span<int32_t> uses_;
};

}  // namespace

size_t fuse(const Program& program, std::span<const ParamData> params, const KernelTable& kernels,
            const PlanOptions& options, std::span<Launch> launches, std::span<int32_t> uses) {
  const Fusion fusion = options.fusion;
  const Fuser fuser(program, params, kernels, options.owners, uses);
  size_t count = 0;
  SlotId converted = kNone;  // whose rows lie in the shared buffer, and as what
  ActKind form = ActKind::f32;
  for (size_t i = 0; i < program.steps.size();) {
    Launch launch = fuser.next(i, fusion);
    if (launch.kind == LaunchKind::linear || launch.kind == LaunchKind::gated_linear) {
      const Step& first = program.steps[static_cast<size_t>(launch.steps[0])];
      const ActKind kind = fuser.kind(first);
      if (kind != ActKind::f32 && (converted != first.in[0] || form != kind)) {
        launch.convert_in = kind;
        converted = first.in[0];
        form = kind;
      }
      // A norm right before converts its row while that is in cache.
      if (fusion == Fusion::on && launch.convert_in != ActKind::f32 && count > 0 &&
          launches[count - 1].kind == LaunchKind::norm &&
          program.steps[static_cast<size_t>(launches[count - 1].steps[0])].out == first.in[0]) {
        launches[count - 1].convert_out = launch.convert_in;
        launch.convert_in = ActKind::f32;
      }
    }
    if (launch.kind == LaunchKind::attention) {
      launch.stored = count > 0 && launches[count - 1].kind == LaunchKind::rope_store;
      launch.selected = fuser.is_only_selected(program.steps[static_cast<size_t>(launch.steps[0])].out);
    }
    launches[count++] = launch;
    i = static_cast<size_t>(launch.steps[launch.count - 1]) + 1;
  }
  return count;
}

}  // namespace kinglet
