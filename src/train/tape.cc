#include "train/tape.h"

#include <algorithm>
#include <numeric>

#include "host/error.h"
#include "train/dropout.h"

namespace kinglet::train {
namespace {

/// Which values an operator's backward reads.
struct Reads {
  bool in[3] = {};
  bool out = false;
};
Reads backward_reads(Op op, bool weight_trained) {
  switch (op) {
    case Op::rms_norm:
    case Op::layer_norm:
      return {.in = {true}};
    case Op::linear:
    case Op::gain:
      return {.in = {weight_trained}};
    case Op::attention:
      return {.in = {true, true, true}, .out = true};
    case Op::silu_mul:
    case Op::gelu_tanh_mul:
    case Op::gelu_mul:
      return {.in = {true, true}};
    case Op::softcap:
      return {.out = true};
    case Op::embed:
    case Op::rope:
    case Op::add:
    case Op::scale:
    case Op::select:
      return {};
  }
  return {};
}

/// Which inputs' place the output can take, value by value.
int in_place_inputs(Op op) {
  switch (op) {
    case Op::rms_norm:
    case Op::layer_norm:
    case Op::rope:
    case Op::scale:
    case Op::gain:
    case Op::softcap:
      return 1;
    case Op::silu_mul:
    case Op::gelu_tanh_mul:
    case Op::gelu_mul:
    case Op::add:
      return 2;
    case Op::embed:
    case Op::linear:
    case Op::attention:
    case Op::select:
      return 0;
  }
  return 0;
}

/// One value of a slot: written once, by a forward action, read by others. (Recomputing makes another one.)
struct Instance {
  SlotId root = kNone;
  int32_t last = -1;  ///< action that reads it last
  int32_t buffer = kNone;
};

class TapeMaker {
 public:
  TapeMaker(const Program& program, std::span<const uint8_t> trained, const TapeOptions& options)
      : p_(program),
        trained_(trained),
        options_(options),
        steps_(static_cast<int32_t>(program.steps.size())),
        sites_(options.dropout ? dropout_sites(program) : std::vector<int8_t>(program.steps.size(), kNone)) {}

  Result<Tape> make() {
    KL_TRY(find_head());
    find_views();
    find_needs();
    list_actions();
    bind_values();
    fuse_sums();
    assign_value_buffers();
    assign_gradient_buffers();
    keep_across_the_loop();
    return std::move(tape_);
  }

 private:
  const Step& step(int32_t i) const { return p_.steps[static_cast<size_t>(i)]; }
  const Slot& slot(SlotId s) const { return p_.slots[static_cast<size_t>(s)]; }
  SlotId root(SlotId s) const { return place_of(p_, s).root; }
  int inputs(const Step& s) const { return info(s.op).inputs; }
  bool weight_trained(ParamId id) const { return id != kNone && trained_[static_cast<size_t>(id)] != 0; }
  bool needs(SlotId s) const { return needs_[static_cast<size_t>(root(s))]; }
  bool is_head(int32_t i) const { return i >= head_; }
  Extent extent(SlotId s) const {
    if (slot(s).rows == Rows::tokens) return Extent::tokens;
    return in_head_[static_cast<size_t>(root(s))] ? Extent::chunk : Extent::outputs;
  }

  Status find_head() {
    for (int32_t i = 0; i < steps_; ++i)
      if (step(i).out == p_.hidden) head_ = i + 1;
    in_head_.assign(p_.slots.size(), 0);
    for (int32_t i = head_; i < steps_ && head_ > 0; ++i) {
      in_head_[static_cast<size_t>(root(step(i).out))] = 1;
      if (slot(step(i).out).rows != Rows::outputs) head_ = 0;
    }
    const bool ends = head_ > 0 && head_ < steps_ && p_.logits == step(steps_ - 1).out && slot(p_.logits).base == kNone;
    return ends ? ok_status() : Status(Code::unsupported, "training takes programs that end in one output head");
  }

  // Roots that others view, and whether their views are disjoint, cover them, and are read once each (then every gradient's
  // part has one writer).
  void find_views() {
    viewed_.assign(p_.slots.size(), 0);
    tiled_.assign(p_.slots.size(), 0);
    std::vector<int32_t> readers(p_.slots.size(), 0);
    std::vector<int64_t> covered(p_.slots.size(), 0);
    for (const Step& s : p_.steps)
      for (int i = 0; i < inputs(s); ++i) ++readers[static_cast<size_t>(s.in[i])];
    for (size_t s = 0; s < p_.slots.size(); ++s) {
      if (p_.slots[s].base == kNone) continue;
      const auto base = static_cast<size_t>(root(static_cast<SlotId>(s)));
      viewed_[base] = 1;
      covered[base] += readers[s] == 1 ? p_.slots[s].width : -(int64_t{1} << 40);
    }
    for (size_t s = 0; s < p_.slots.size(); ++s)
      tiled_[s] =
          viewed_[s] && readers[s] == 0 && covered[s] == p_.slots[s].width && !overlapping(static_cast<SlotId>(s));
  }
  bool overlapping(SlotId base) const {
    std::vector<std::pair<int32_t, int32_t>> parts;
    for (size_t s = 0; s < p_.slots.size(); ++s) {
      const auto id = static_cast<SlotId>(s);
      if (slot(id).base == kNone || root(id) != base) continue;
      const int32_t begin = place_of(p_, id).column;
      parts.emplace_back(begin, begin + slot(id).width);
    }
    std::sort(parts.begin(), parts.end());
    for (size_t i = 1; i < parts.size(); ++i)
      if (parts[i].first < parts[i - 1].second) return true;
    return false;
  }

  void find_needs() {
    needs_.assign(p_.slots.size(), 0);
    consumers_.assign(p_.slots.size(), {});
    producer_.assign(p_.slots.size(), kNone);
    for (int32_t i = 0; i < steps_; ++i) {
      const Step& s = step(i);
      bool any = weight_trained(s.weight) || weight_trained(s.bias);
      for (int j = 0; j < inputs(s); ++j) {
        any = any || needs(s.in[j]);
        consumers_[static_cast<size_t>(root(s.in[j]))].push_back(i);
      }
      needs_[static_cast<size_t>(root(s.out))] = any;
      producer_[static_cast<size_t>(root(s.out))] = i;
    }
  }

  void append(Action::Kind kind, int32_t step_index) {
    const int8_t dropped = step_index == kNone ? int8_t{kNone} : sites_[static_cast<size_t>(step_index)];
    tape_.actions.push_back({.kind = kind, .step = step_index, .dropped = dropped});
  }

  void list_actions() {
    repeated_.assign(p_.steps.size(), 0);
    for (int32_t i = 0; i < head_; ++i) append(Action::Kind::forward, i);
    tape_.head_begin = static_cast<int32_t>(tape_.actions.size());
    for (int32_t i = head_; i < steps_; ++i) append(Action::Kind::forward, i);
    append(Action::Kind::loss, kNone);
    if (options_.backward)
      for (int32_t i = steps_; i-- > head_;)
        if (needs(step(i).out)) append(Action::Kind::backward, i);
    tape_.head_end = static_cast<int32_t>(tape_.actions.size());
    if (!options_.backward) return;
    int32_t last_layer = -1;
    for (int32_t i = 0; i < head_; ++i) last_layer = std::max<int32_t>(last_layer, step(i).layer);
    int32_t inside = last_layer;  // whose values are there: the last layer's have just been made
    for (int32_t i = head_; i-- > 0;) {
      if (!needs(step(i).out)) continue;
      if (options_.checkpointing == Checkpointing::layers && step(i).layer != inside && step(i).layer >= 0) {
        inside = step(i).layer;
        repeat_layer(inside);
      }
      if (options_.checkpointing == Checkpointing::activations) repeat_activations(step(i));
      append(Action::Kind::backward, i);
    }
  }

  // What a step's backward reads, made anew where it costs little. Its first reader backward is the last one forward.
  void repeat_activations(const Step& s) {
    const Reads reads = backward_reads(s.op, weight_trained(s.weight));
    for (int j = 0; j < inputs(s); ++j) {
      const int32_t producer = producer_of(s.in[j]);
      if (!reads.in[j] || producer == kNone || !costs_little(step(producer)) ||
          repeated_[static_cast<size_t>(producer)])
        continue;
      repeated_[static_cast<size_t>(producer)] = 1;
      append(Action::Kind::forward, producer);
    }
  }
  // Its own backward reads its inputs, so they are there.
  bool costs_little(const Step& s) const {
    const bool row_wise = s.op == Op::rms_norm || s.op == Op::layer_norm || s.op == Op::silu_mul ||
                          s.op == Op::gelu_tanh_mul || s.op == Op::gelu_mul;
    return row_wise && needs(s.out) && !is_head(static_cast<int32_t>(&s - p_.steps.data()));
  }

  // The forward steps of a layer that make what its backward reads.
  void repeat_layer(int32_t layer) {
    std::vector<uint8_t> wanted(p_.slots.size(), 0);
    for (int32_t i = 0; i < head_; ++i) {
      const Step& s = step(i);
      if (s.layer != layer || !needs(s.out)) continue;
      const Reads reads = backward_reads(s.op, weight_trained(s.weight));
      for (int j = 0; j < inputs(s); ++j)
        if (reads.in[j]) wanted[static_cast<size_t>(root(s.in[j]))] = 1;
      if (reads.out) wanted[static_cast<size_t>(root(s.out))] = 1;
    }
    std::vector<int32_t> repeated;
    for (int32_t i = head_; i-- > 0;) {
      const Step& s = step(i);
      if (s.layer != layer || !wanted[static_cast<size_t>(root(s.out))]) continue;
      repeated.push_back(i);
      for (int j = 0; j < inputs(s); ++j) wanted[static_cast<size_t>(root(s.in[j]))] = 1;
    }
    for (auto i = repeated.rbegin(); i != repeated.rend(); ++i) append(Action::Kind::forward, *i);
  }

  // Which instance each action reads and writes. Until assign_value_buffers, operands hold instances for buffers.
  Operand operand(SlotId s, int32_t instance) const { return {instance, place_of(p_, s).column}; }
  int32_t read(SlotId s, int32_t action) {
    const int32_t instance = current_[static_cast<size_t>(root(s))];
    instances_[static_cast<size_t>(instance)].last = action;
    return instance;
  }
  int32_t write(SlotId s, int32_t action) {
    instances_.push_back({.root = root(s), .last = action});
    return current_[static_cast<size_t>(root(s))] = static_cast<int32_t>(instances_.size() - 1);
  }

  void bind_values() {
    current_.assign(p_.slots.size(), kNone);
    for (int32_t a = 0; a < count(); ++a) {
      Action& action = at(a);
      if (action.kind == Action::Kind::loss) {
        action.out = operand(p_.logits, read(p_.logits, a));
        continue;
      }
      const Step& s = step(action.step);
      const bool forward = action.kind == Action::Kind::forward;
      const Reads reads = backward_reads(s.op, weight_trained(s.weight));
      for (int j = 0; j < inputs(s); ++j)
        if (forward || reads.in[j]) action.in[j] = operand(s.in[j], read(s.in[j], a));
      if (forward) action.out = operand(s.out, write(s.out, a));
      else if (reads.out) action.out = operand(s.out, read(s.out, a));
    }
  }

  // A product (without a bias, so that every sum rounds as it would alone) whose only reader is the addition right after it adds to the other term's place, where nobody else reads that
  // term any more: adapters' products do that. The addition then has nothing to do.
  void fuse_sums() {
    std::vector<Action> kept;
    std::vector<int32_t> moved(static_cast<size_t>(count()), 0);
    for (int32_t a = 0; a < count(); ++a) {
      moved[static_cast<size_t>(a)] = static_cast<int32_t>(kept.size());
      if (a + 1 < count() && fuses(a)) {
        const int term = at(a + 1).in[0].buffer == at(a).out.buffer ? 1 : 0;
        Action product = at(a);
        instances_[static_cast<size_t>(at(a + 1).out.buffer)].buffer = kShared;
        shares_.emplace_back(at(a + 1).out.buffer, at(a + 1).in[term].buffer);
        product.out = at(a + 1).out;
        product.accumulate = true;
        kept.push_back(product);
        moved[static_cast<size_t>(++a)] = static_cast<int32_t>(kept.size()) - 1;
      } else {
        kept.push_back(at(a));
      }
    }
    for (Instance& i : instances_) i.last = moved[static_cast<size_t>(i.last)];
    tape_.head_begin = moved[static_cast<size_t>(tape_.head_begin)];
    tape_.head_end =
        tape_.head_end == count() ? static_cast<int32_t>(kept.size()) : moved[static_cast<size_t>(tape_.head_end)];
    tape_.actions = std::move(kept);
  }
  bool fuses(int32_t a) const {
    const Action& product = at(a);
    const Action& sum = at(a + 1);
    if (product.kind != Action::Kind::forward || sum.kind != Action::Kind::forward || sum.dropped != kNone)
      return false;
    const Step &s = step(product.step), &add = step(sum.step);
    if (s.op != Op::linear || s.bias != kNone || add.op != Op::add || is_head(product.step) != is_head(sum.step))
      return false;
    const int mine = sum.in[0].buffer == product.out.buffer ? 0 : 1;
    if (sum.in[mine].buffer != product.out.buffer || sum.in[1 - mine].buffer == product.out.buffer) return false;
    const SlotId term = add.in[1 - mine];
    const auto dies = [&](int32_t instance) { return instances_[static_cast<size_t>(instance)].last == a + 1; };
    return dies(product.out.buffer) && dies(sum.in[1 - mine].buffer) && plain(s.out) && plain(term) && plain(add.out) &&
           extent(term) == extent(add.out) && product.in[0].buffer != sum.in[1 - mine].buffer;
  }

  bool plain(SlotId s) const { return slot(s).base == kNone && !viewed_[static_cast<size_t>(s)]; }

  int32_t new_buffer(int64_t width, Extent e) {
    tape_.buffers.push_back({.width = width, .extent = e});
    return static_cast<int32_t>(tape_.buffers.size() - 1);
  }
  Operand touched(Operand o, int32_t action) {
    if (o.wanted()) tape_.buffers[static_cast<size_t>(o.buffer)].touch(action);
    return o;
  }

  int32_t buffer_for(const Action& action, int32_t a) {
    const Step& s = step(action.step);
    for (int j = 0; j < in_place_inputs(s.op); ++j) {
      const Instance& in = instances_[static_cast<size_t>(action.in[j].buffer)];
      if (in.last == a && plain(s.in[j]) && plain(s.out) && extent(s.in[j]) == extent(s.out)) return in.buffer;
    }
    return new_buffer(slot(root(s.out)).width, extent(s.out));
  }

  void assign_value_buffers() {
    for (int32_t a = 0; a < count(); ++a) {
      Action& action = at(a);
      const auto resolve = [&](Operand& o) {
        if (!o.wanted()) return;
        o.buffer = instances_[static_cast<size_t>(o.buffer)].buffer;
        touched(o, a);
      };
      if (action.kind == Action::Kind::forward) {
        Instance& out = instances_[static_cast<size_t>(action.out.buffer)];
        if (out.buffer == kShared) {
          const auto pair =
              std::find_if(shares_.begin(), shares_.end(), [&](const auto& s) { return s.first == action.out.buffer; });
          out.buffer = instances_[static_cast<size_t>(pair->second)].buffer;
        } else {
          out.buffer = buffer_for(action, a);
        }
      }
      if (action.kind == Action::Kind::loss) logits_end_ = instances_[static_cast<size_t>(action.out.buffer)].last == a;
      for (Operand& o : action.in) resolve(o);
      resolve(action.out);
      if (action.step != kNone && step(action.step).op == Op::attention) bind_log_sums(action, a);
    }
  }
  void bind_log_sums(Action& action, int32_t a) {
    if (action.kind == Action::Kind::forward) {
      log_sums_.resize(p_.steps.size(), kNone);
      log_sums_[static_cast<size_t>(action.step)] = new_buffer(step(action.step).attr.heads, Extent::tokens);
    }
    action.log_sums = log_sums_[static_cast<size_t>(action.step)];
    touched({action.log_sums, 0}, a);
  }

  // Gradients. gradient_[root] is the buffer that holds it so far; sharers_[buffer] counts the gradients that live in it.
  void assign_gradient_buffers() {
    gradient_.assign(p_.slots.size(), kNone);
    for (int32_t a = 0; a < count(); ++a) {
      Action& action = at(a);
      if (action.kind == Action::Kind::loss) begin_gradients(action, a);
      if (action.kind == Action::Kind::backward) bind_gradients(action, a);
    }
  }
  void begin_gradients(Action& action, int32_t a) {
    if (!options_.backward || !needs(p_.logits)) return;
    const int32_t buffer = logits_end_ ? action.out.buffer : new_buffer(slot(p_.logits).width, Extent::chunk);
    set_gradient(p_.logits, buffer);
    action.d_out = touched({buffer, 0}, a);
  }
  void set_gradient(SlotId s, int32_t buffer) {
    gradient_[static_cast<size_t>(root(s))] = buffer;
    sharers_.resize(tape_.buffers.size(), 0);
    ++sharers_[static_cast<size_t>(buffer)];
  }

  void bind_gradients(Action& action, int32_t a) {
    const Step& s = step(action.step);
    const int32_t mine = gradient_[static_cast<size_t>(root(s.out))];
    if (mine == kNone) return;  // nobody reads it: no gradient comes
    action.d_out = touched({mine, place_of(p_, s.out).column}, a);
    bool taken = false;
    for (int j = 0; j < inputs(s); ++j) {
      if (!needs(s.in[j])) continue;
      const auto in = static_cast<size_t>(root(s.in[j]));
      if (gradient_[in] != kNone) {
        action.add[j] = !first_part(s.in[j]);
      } else {
        const bool take = may_take(action, j, mine, taken);
        taken = taken || take;
        set_gradient(s.in[j], take ? mine : new_buffer(slot(root(s.in[j])).width, extent(s.in[j])));
        action.clear[j] = viewed_[in] && !tiled_[in];
        action.add[j] = action.clear[j];
      }
      action.d_in[j] = touched({gradient_[in], place_of(p_, s.in[j]).column}, a);
    }
    sharers_.resize(tape_.buffers.size(), 0);
    --sharers_[static_cast<size_t>(mine)];
    gradient_[static_cast<size_t>(root(s.out))] = kNone;
  }
  /// A part of a gradient that is written in disjoint parts, once each.
  bool first_part(SlotId s) const { return slot(s).base != kNone && tiled_[static_cast<size_t>(root(s))]; }

  // Whether input j's gradient, which begins here, may live where the output's is.
  bool may_take(const Action& action, int j, int32_t mine, bool taken) const {
    const Step& s = step(action.step);
    if (!plain(s.in[j]) || !plain(s.out) || extent(s.in[j]) != extent(s.out)) return false;
    if (inputs(s) > 1 && root(s.in[0]) == root(s.in[1])) return false;
    if (action.dropped == j) return false;  // the other term gets all of the gradient
    if (s.op == Op::add) return may_share_sum(action, j, mine, taken);
    return j == 0 && in_place_inputs(s.op) > 0 && sharers_[static_cast<size_t>(mine)] == 1;
  }
  // The terms of a sum get one and the same gradient, and may share its place where whoever adds to one term's (x of
  // x + f(x) has other readers) comes after the other's producer (f) has read it. The walk goes to lower steps.
  bool may_share_sum(const Action& action, int j, int32_t mine, bool taken) const {
    if (sharers_[static_cast<size_t>(mine)] > (taken ? 2 : 1)) return false;
    const Step& s = step(action.step);
    const SlotId one = s.in[j], other = s.in[1 - j];
    return !taken ||
           (last_reader(one, action.step) < producer_of(other) && last_reader(other, action.step) < producer_of(one));
  }
  int32_t producer_of(SlotId s) const { return producer_[static_cast<size_t>(root(s))]; }
  /// The last step beside `except` that reads s; kNone: there is none.
  int32_t last_reader(SlotId s, int32_t except) const {
    int32_t last = kNone;
    for (int32_t i : consumers_[static_cast<size_t>(root(s))])
      if (i != except) last = std::max(last, i);
    return last;
  }

  void keep_across_the_loop() {
    for (Buffer& b : tape_.buffers) {
      if (b.extent == Extent::chunk || b.last < tape_.head_begin || b.first >= tape_.head_end) continue;
      b.touch(tape_.head_begin);
      b.touch(tape_.head_end - 1);
    }
  }

  int32_t count() const { return static_cast<int32_t>(tape_.actions.size()); }
  Action& at(int32_t a) { return tape_.actions[static_cast<size_t>(a)]; }
  const Action& at(int32_t a) const { return tape_.actions[static_cast<size_t>(a)]; }

  static constexpr int32_t kShared = -2;  ///< an instance that lives where another one does

  const Program& p_;
  std::span<const uint8_t> trained_;
  TapeOptions options_;
  int32_t steps_, head_ = 0;
  std::vector<int8_t> sites_;
  Tape tape_;
  std::vector<uint8_t> in_head_, viewed_, tiled_, needs_, repeated_;
  std::vector<std::vector<int32_t>> consumers_;
  std::vector<int32_t> producer_, current_, log_sums_, gradient_, sharers_;
  std::vector<Instance> instances_;
  std::vector<std::pair<int32_t, int32_t>> shares_;
  bool logits_end_ = false;
};

}  // namespace

Result<Tape> make_tape(const Program& program, std::span<const uint8_t> trained, const TapeOptions& options) {
  return TapeMaker(program, trained, options).make();
}

Extents extents_of(const Program& program, int64_t T, int64_t R) {
  constexpr int64_t kLogits = int64_t{24} << 20;  // floats that are held at once
  constexpr int64_t kMostRows = 512;
  const int64_t V = program.slots[static_cast<size_t>(program.logits)].width;
  const int64_t most = std::clamp<int64_t>(kLogits / V, 16, kMostRows);
  return {T, R, R == 0 ? 0 : ceil_div(R, ceil_div(R, most))};
}

Placement place_buffers(const Tape& tape, const Extents& extents) {
  constexpr int64_t kLine = 16;  // floats
  const size_t n = tape.buffers.size();
  Placement out{.offsets = std::vector<int64_t>(n, 0)};
  const auto floats = [&](size_t i) {
    return round_up(tape.buffers[i].width * extents.rows(tape.buffers[i].extent), kLine);
  };
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return floats(a) > floats(b); });
  std::vector<size_t> placed;  // by offset
  for (size_t i : order) {
    const Buffer& b = tape.buffers[i];
    int64_t offset = 0;
    for (size_t j : placed) {
      const Buffer& other = tape.buffers[j];
      if (other.last < b.first || b.last < other.first) continue;
      if (out.offsets[j] >= offset + floats(i)) break;
      offset = std::max(offset, out.offsets[j] + floats(j));
    }
    out.offsets[i] = offset;
    out.floats = std::max(out.floats, offset + floats(i));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](int64_t at, size_t j) { return at < out.offsets[j]; }),
                  i);
  }
  return out;
}

}  // namespace kinglet::train
