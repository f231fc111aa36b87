#include "arch/select_early.h"

#include <algorithm>
#include <map>

namespace kinglet {
namespace {

bool is_row_wise(Op op) {
  switch (op) {
    case Op::rms_norm:
    case Op::layer_norm:
    case Op::linear:
    case Op::silu_mul:
    case Op::gelu_tanh_mul:
    case Op::gelu_mul:
    case Op::add:
    case Op::scale:
    case Op::gain:
    case Op::softcap:
      return true;
    case Op::embed:      // makes rows of tokens
    case Op::rope:       // knows rows by their position in the batch
    case Op::attention:  // reads other rows
    case Op::select:
      return false;
  }
  return false;
}

class Rewrite {
 public:
  explicit Rewrite(ProgramStorage& program) : p_(program), read_whole_(p_.slots.size()), narrow_(p_.slots.size()) {}

  void run() {
    const auto at = std::ranges::find(p_.steps, Op::select, &Step::op);
    if (at == p_.steps.end()) return;
    const auto select = static_cast<size_t>(at - p_.steps.begin());
    mark(select);
    if (!is_narrow(at->in[0])) return;
    const Step old = *at;
    p_.steps.erase(at);
    for (size_t i = select; i < p_.steps.size(); ++i) replace(p_.steps[i], old.out, old.in[0]);
    for (Slot& slot : p_.slots)
      if (slot.base == old.out) slot.base = old.in[0];
    for (SlotId* end : {&p_.logits, &p_.hidden})
      if (*end == old.out) *end = old.in[0];
    insert_selections(select);
    for (size_t i = 0; i < narrow_.size(); ++i)
      if (is_narrow(static_cast<SlotId>(i))) p_.slots[i].rows = Rows::outputs;
  }

 private:
  SlotId root(SlotId slot) const { return place_of(p_.view(), slot).root; }
  bool is_narrow(SlotId slot) const { return narrow_[static_cast<size_t>(root(slot))]; }

  // Which slots only the selected rows are read of, going backwards from the selection.
  void mark(size_t select) {
    for (size_t i = p_.steps.size(); i-- > 0;) {
      const Step& step = p_.steps[i];
      const auto out = static_cast<size_t>(root(step.out));
      const bool narrow = i < select && is_row_wise(step.op) && !read_whole_[out];
      if (narrow) narrow_[out] = true;
      if (narrow || i == select) continue;
      for (const SlotId in : step.in)
        if (in != kNone) read_whole_[static_cast<size_t>(root(in))] = true;
    }
  }

  static void replace(Step& step, SlotId from, SlotId to) {
    for (SlotId& in : step.in)
      if (in == from) in = to;
  }

  // Steps [0, end) that became narrow read selections of what did not. All that exists by then is selected before the first of
  // them, so that a product and the sum behind it stay neighbours.
  void insert_selections(size_t end) {
    std::vector<Step> steps;
    std::map<SlotId, SlotId> selected;
    std::vector<SlotId> wanted = wide_inputs(end);
    bool narrow_began = false;
    for (size_t i = 0; i < p_.steps.size(); ++i) {
      Step step = p_.steps[i];
      const bool narrow = i < end && is_narrow(step.out);
      narrow_began = narrow_began || narrow;
      if (narrow_began)
        std::erase_if(wanted, [&](SlotId slot) {
          if (!is_written(steps, slot)) return false;
          selected[slot] = add_selection(steps, slot, step.layer);
          return true;
        });
      if (narrow)
        for (SlotId& in : step.in)
          if (const auto found = selected.find(in); found != selected.end()) in = found->second;
      steps.push_back(step);
    }
    p_.steps = std::move(steps);
  }

  std::vector<SlotId> wide_inputs(size_t end) const {
    std::vector<SlotId> out;
    for (size_t i = 0; i < end; ++i) {
      if (!is_narrow(p_.steps[i].out)) continue;
      for (const SlotId in : p_.steps[i].in)
        if (in != kNone && !is_narrow(in) && std::ranges::find(out, in) == out.end()) out.push_back(in);
    }
    return out;
  }
  bool is_written(const std::vector<Step>& steps, SlotId slot) const {
    return std::ranges::any_of(steps, [&](const Step& s) { return root(s.out) == root(slot); });
  }
  SlotId add_selection(std::vector<Step>& steps, SlotId in, int16_t layer) {
    p_.slots.push_back({p_.slots[static_cast<size_t>(in)].width, kNone, 0, Rows::outputs});
    narrow_.push_back(true);
    const auto out = static_cast<SlotId>(p_.slots.size()) - 1;
    steps.push_back({.op = Op::select, .layer = layer, .in = {in, kNone, kNone}, .out = out});
    return out;
  }

  ProgramStorage& p_;
  std::vector<bool> read_whole_, narrow_;  ///< of roots
};

}  // namespace

void select_early(ProgramStorage& program) { Rewrite(program).run(); }

}  // namespace kinglet
