// The shape rules of the operators.
#include "spec/program.h"

namespace kinglet {
namespace {

class Validator {
 public:
  explicit Validator(const Program& program) : p_(program) {}

  Status run() {
    for (size_t i = 0; i < p_.slots.size(); ++i) KL_TRY(check_slot(static_cast<SlotId>(i)));
    for (size_t i = 0; i < p_.steps.size(); ++i) {
      step_ = static_cast<int64_t>(i);
      KL_TRY(check_step(p_.steps[i]));
      KL_TRY(check_order(i));
    }
    if (p_.logits != kNone && !slot_exists(p_.logits))
      return Status(Code::invalid_argument, "the logits' slot does not exist");
    return ok_status();
  }

 private:
  bool slot_exists(SlotId s) const { return s >= 0 && static_cast<size_t>(s) < p_.slots.size(); }
  const Slot& slot(SlotId s) const { return p_.slots[static_cast<size_t>(s)]; }
  int64_t width(SlotId s) const { return slot(s).width; }

  Status check_slot(SlotId id) const {
    const Slot& s = slot(id);
    if (s.width <= 0) return Status(Code::invalid_argument, "slot ").append(id).append(" has no width");
    if (s.base == kNone) return ok_status();
    // A view follows its base in the table, so chains of views end.
    if (s.base < 0 || s.base >= id)
      return Status(Code::invalid_argument, "slot ").append(id).append(" views a later slot");
    const auto end = checked_add(s.offset, s.width);
    if (s.offset < 0 || !end || *end > slot(s.base).width || slot(s.base).rows != s.rows)
      return Status(Code::invalid_argument, "slot ").append(id).append(" reaches outside the slot it views");
    return ok_status();
  }

  Status fail(const Step& step, std::string_view what) const {
    return Status(Code::invalid_argument, "step ")
        .append(step_)
        .append(" (")
        .append(info(step.op).name)
        .append("): ")
        .append(what);
  }

  // Slots are written once, before they are read. The quadratic scan is short: programs have hundreds of steps, and it asks only for the
  // step's own slots.
  bool written_before(size_t step_index, SlotId slot) const {
    const SlotId root = place_of(p_, slot).root;
    for (size_t i = 0; i < step_index; ++i)
      if (place_of(p_, p_.steps[i].out).root == root) return true;
    return false;
  }
  Status check_order(size_t index) const {
    const Step& step = p_.steps[index];
    for (int i = 0; i < info(step.op).inputs; ++i)
      if (!written_before(index, step.in[i])) return fail(step, "an input is read before it is written");
    return written_before(index, step.out) ? fail(step, "its output is written twice") : ok_status();
  }

  // Parameter of the given shape; `n` < 0 in a place that may be anything.
  Status param(const Step& step, ParamId id, int64_t rows, int64_t inner) const {
    if (id < 0 || static_cast<size_t>(id) >= p_.params.size()) return fail(step, "a parameter that does not exist");
    const Shape& s = p_.params[static_cast<size_t>(id)].shape;
    const bool fits =
        inner < 0 ? s.rank == 1 && s[0] == rows : s.rank == 2 && (rows < 0 || s[0] == rows) && s[1] == inner;
    if (fits) return ok_status();
    Status status = fail(step, "a parameter is (");
    for (int i = 0; i < s.rank; ++i) status.append(i > 0 ? ", " : "").append(s[i]);
    status.append("), expected (").append(rows);
    if (inner >= 0) status.append(", ").append(inner);
    return status.append(")");
  }

  Status check_step(const Step& step) const {
    for (int i = 0; i < 3; ++i) {
      if ((i < info(step.op).inputs) != (step.in[i] != kNone)) return fail(step, "wrong number of inputs");
      if (step.in[i] != kNone && !slot_exists(step.in[i])) return fail(step, "an input that does not exist");
    }
    if (!slot_exists(step.out)) return fail(step, "an output that does not exist");
    for (int i = 0; i < info(step.op).inputs; ++i)
      if (step.op != Op::select && slot(step.in[i]).rows != slot(step.out).rows) return fail(step, "rows do not match");
    return check_rule(step);
  }

  Status same_width(const Step& step) const {
    for (int i = 0; i < info(step.op).inputs; ++i)
      if (width(step.in[i]) != width(step.out)) return fail(step, "input and output differ in width");
    return ok_status();
  }

  Status check_rule(const Step& step) const {
    const Attr& a = step.attr;
    switch (step.op) {
      case Op::embed:
        return param(step, step.weight, -1, width(step.out));
      case Op::rms_norm:
        KL_TRY(same_width(step));
        if (a.heads > 0 && int64_t{a.heads} * a.head_width != width(step.out))
          return fail(step, "heads do not fill the row");
        return step.weight == kNone ? ok_status()
                                    : param(step, step.weight, a.heads > 0 ? a.head_width : width(step.out), -1);
      case Op::layer_norm:
        KL_TRY(same_width(step));
        KL_TRY(param(step, step.weight, width(step.out), -1));
        return param(step, step.bias, width(step.out), -1);
      case Op::linear:
        KL_TRY(param(step, step.weight, width(step.out), width(step.in[0])));
        return step.bias == kNone ? ok_status() : param(step, step.bias, width(step.out), -1);
      case Op::rope:
        return check_rope(step);
      case Op::attention:
        return check_attention(step);
      case Op::silu_mul:
      case Op::gelu_tanh_mul:
      case Op::gelu_mul:
      case Op::add:
      case Op::scale:
        return same_width(step);
      case Op::gain:
        KL_TRY(same_width(step));
        KL_TRY(param(step, step.weight, width(step.out), -1));
        return step.bias == kNone ? ok_status() : param(step, step.bias, width(step.out), -1);
      case Op::softcap:
        if (!(a.softcap > 0)) return fail(step, "softcap must be positive");
        return same_width(step);
      case Op::select:
        if (slot(step.in[0]).rows != Rows::tokens || slot(step.out).rows != Rows::outputs)
          return fail(step, "selects outputs from tokens");
        return same_width(step);
    }
    return fail(step, "unknown operator");
  }

  Status check_rope(const Step& step) const {
    const Attr& a = step.attr;
    KL_TRY(same_width(step));
    if (a.heads <= 0 || int64_t{a.heads} * a.head_width != width(step.out))
      return fail(step, "heads do not fill the row");
    if (a.rope < 0 || static_cast<size_t>(a.rope) >= p_.ropes.size())
      return fail(step, "a rope table that does not exist");
    const RopeTable& table = p_.ropes[static_cast<size_t>(a.rope)];
    const bool fits = a.rotary > 0 && a.rotary <= a.head_width && a.rotary % 2 == 0 &&
                      table.freq.size() == static_cast<size_t>(a.rotary / 2) &&
                      (table.long_freq.empty() || table.long_freq.size() == table.freq.size());
    return fits ? ok_status() : fail(step, "rotary width and rope table do not match");
  }

  Status check_attention(const Step& step) const {
    const Attr& a = step.attr;
    if (a.heads <= 0 || a.kv_heads <= 0 || a.head_width <= 0 || a.heads % a.kv_heads != 0)
      return fail(step, "query heads must be a multiple of key-value heads");
    const int64_t q = int64_t{a.heads} * a.head_width, kv = int64_t{a.kv_heads} * a.head_width;
    if (width(step.in[0]) != q || width(step.in[1]) != kv || width(step.in[2]) != kv || width(step.out) != q)
      return fail(step, "widths do not match the heads");
    if (a.kv_layer < 0 || a.kv_layer >= p_.kv_layers) return fail(step, "a key-value layer that does not exist");
    if (a.kv_heads != p_.kv_heads || a.head_width != p_.head_width)
      return fail(step, "key-value shape differs between layers");
    if (a.window < 0) return fail(step, "a negative window");
    return ok_status();
  }

  const Program& p_;
  int64_t step_ = 0;
};

}  // namespace

Status validate(const Program& program) { return Validator(program).run(); }

}  // namespace kinglet
