#include "arch/describe.h"

#include <algorithm>

#include "host/error.h"

namespace kinglet {
namespace {

/// "attn_q" of "blk.3.attn_q.weight", "attn_q.bias" of its bias.
std::string short_name(const ParamInfo& param) {
  std::string_view name = param.gguf;
  if (param.layer != kNone) {
    const std::string prefix = fmt::format("blk.{}.", param.layer);
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  if (name.ends_with(".weight")) name.remove_suffix(7);
  return std::string(name);
}

void join(std::string& list, std::string_view item) {
  if (item.empty()) return;
  if (!list.empty()) list += ", ";
  list += item;
}

std::string head_text(const Attr& a) {
  return a.heads > 0 ? fmt::format("{} heads of {}", a.heads, a.head_width) : std::string();
}

std::string rope_text(const Attr& a) {
  std::string out = head_text(a);
  if (a.rotary != a.head_width) join(out, fmt::format("rotates {}", a.rotary));
  join(out, fmt::format("table {}", a.rope));
  if (a.interleaved) join(out, "interleaved");
  return out;
}

std::string attention_text(const Attr& a) {
  std::string out =
      a.heads == a.kv_heads ? head_text(a) : fmt::format("{} heads over {} of {}", a.heads, a.kv_heads, a.head_width);
  if (a.window > 0) join(out, fmt::format("window {}", a.window));
  join(out, fmt::format("scale {:.6g}", a.scale));
  if (a.softcap > 0) join(out, fmt::format("softcap {:.6g}", a.softcap));
  if (!a.causal) join(out, "not causal");
  return out;
}

std::string attributes(const Step& step) {
  const Attr& a = step.attr;
  switch (step.op) {
    case Op::rms_norm:
    case Op::layer_norm: {
      std::string out = head_text(a);
      join(out, fmt::format("eps {:.6g}", a.eps));
      return out;
    }
    case Op::rope:
      return rope_text(a);
    case Op::attention:
      return attention_text(a);
    case Op::scale:
      return fmt::format("factor {:.6g}", a.factor);
    case Op::softcap:
      return fmt::format("cap {:.6g}", a.softcap);
    case Op::embed:
    case Op::linear:
    case Op::silu_mul:
    case Op::gelu_tanh_mul:
    case Op::gelu_mul:
    case Op::add:
    case Op::gain:
    case Op::select:
      return {};
  }
  return {};
}

class Describer {
 public:
  Describer(const ProgramStorage& p, std::span<const std::string> types)
      : p_(p), types_(types), program_(p.view()), producer_(p.slots.size(), -1) {
    for (size_t i = 0; i < p.steps.size(); ++i)
      producer_[static_cast<size_t>(p.steps[i].out)] = static_cast<int64_t>(i);
  }

  std::vector<ProgramSection> run() {
    const auto count = static_cast<int64_t>(p_.steps.size());
    for (int64_t begin = 0; begin < count;) {
      int64_t end = begin + 1;
      while (end < count && step(end).layer == step(begin).layer) ++end;
      add(begin, end);
      begin = end;
    }
    std::vector<ProgramSection> out;
    for (const Group& group : groups_) out.push_back(describe(group));
    return out;
  }

 private:
  /// Stretches of steps that differ in nothing but their layer; `begins` has one for each layer.
  struct Group {
    std::string key;
    int64_t length;
    std::vector<int64_t> begins;
  };

  const Step& step(int64_t i) const { return p_.steps[static_cast<size_t>(i)]; }
  const ParamInfo& param(ParamId id) const { return p_.params[static_cast<size_t>(id)]; }
  const Slot& slot(SlotId id) const { return p_.slots[static_cast<size_t>(id)]; }

  void add(int64_t begin, int64_t end) {
    std::string key;
    for (int64_t i = begin; i < end; ++i) key += key_of(i) + "\n";
    const bool in_layers = step(begin).layer != kNone;
    const auto same = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.key == key; });
    if (in_layers && same != groups_.end()) same->begins.push_back(begin);
    else groups_.push_back({key, end - begin, {begin}});
  }

  /// What must be equal for two layers to be one section: all but types and absolute numbers.
  std::string key_of(int64_t i) const {
    const Step& s = step(i);
    std::string out = fmt::format("{} {} {}", info(s.op).name, output(s), attributes(s));
    for (const ParamId id : {s.weight, s.bias})
      if (id != kNone) out += fmt::format(" {} {}", short_name(param(id)), shape_text(param(id).shape));
    for (const SlotId in : s.in)
      if (in != kNone) out += fmt::format(" {}{}", i - producer(in), columns(in));
    return out;
  }

  int64_t producer(SlotId in) const { return producer_[static_cast<size_t>(place_of(program_, in).root)]; }

  std::string columns(SlotId in) const {
    const SlotPlace at = place_of(program_, in);
    return at.root == in ? std::string() : fmt::format("[{}:{}]", at.column, at.column + slot(in).width);
  }
  std::string output(const Step& s) const {
    return fmt::format("({}, {})", slot(s.out).rows == Rows::tokens ? "T" : "R", slot(s.out).width);
  }

  std::string inputs(const Step& s, int64_t section_begin) const {
    std::string out;
    for (const SlotId in : s.in) {
      if (in == kNone) continue;
      const int64_t from = producer(in);
      join(out, (from == section_begin - 1 ? "x" : fmt::format("#{}", from + 1)) + columns(in));
    }
    return out;
  }

  /// "q4_k", or "q4_k x 12, q6_k x 12" where the layers of the group differ.
  std::string types(const Group& group, int64_t offset, ParamId Step::*which) const {
    std::vector<std::pair<std::string, int>> counts;
    for (const int64_t begin : group.begins) {
      const std::string& type = types_[static_cast<size_t>(step(begin + offset).*which)];
      const auto found = std::find_if(counts.begin(), counts.end(), [&](const auto& c) { return c.first == type; });
      if (found != counts.end()) ++found->second;
      else counts.emplace_back(type, 1);
    }
    if (counts.size() == 1) return counts.front().first;
    std::string out;
    for (const auto& [type, n] : counts) out += fmt::format("{}{} x {}", out.empty() ? "" : " / ", type, n);
    return out;
  }

  std::string parameters(const Group& group, int64_t offset) const {
    const Step& s = step(group.begins.front() + offset);
    std::string out;
    if (s.weight != kNone)
      out = fmt::format("{} {} {}", short_name(param(s.weight)), types(group, offset, &Step::weight),
                        shape_text(param(s.weight).shape));
    if (s.bias != kNone) join(out, "bias " + types(group, offset, &Step::bias));
    return out;
  }

  ProgramSection describe(const Group& group) const {
    ProgramSection out;
    const int64_t begin = group.begins.front();
    for (const int64_t b : group.begins)
      if (step(b).layer != kNone) out.layers.push_back(step(b).layer);
    for (int64_t i = 0; i < group.length; ++i) {
      const Step& s = step(begin + i);
      out.steps.push_back({begin + i + 1, std::string(info(s.op).name), inputs(s, begin), output(s),
                           parameters(group, i), attributes(s)});
    }
    return out;
  }

  const ProgramStorage& p_;
  std::span<const std::string> types_;
  Program program_;
  std::vector<int64_t> producer_;  ///< step that writes a slot
  std::vector<Group> groups_;
};

}  // namespace

std::vector<ProgramSection> describe_program(const ProgramStorage& program, std::span<const std::string> types) {
  return Describer(program, types).run();
}

std::vector<std::string> describe_ropes(const ProgramStorage& program) {
  std::vector<std::string> out;
  for (const RopeTable& table : program.ropes) {
    if (table.freq.empty()) continue;
    std::string line =
        fmt::format("{} frequencies from {:.6g} to {:.6g}", table.freq.size(), table.freq.front(), table.freq.back());
    if (table.magnitude != 1.0f) join(line, fmt::format("magnitude {:.6g}", table.magnitude));
    if (!table.long_freq.empty())
      join(line, fmt::format("other ones where a sequence is longer than {}", table.original_context));
    out.push_back(std::move(line));
  }
  return out;
}

std::string ranges(std::span<const int64_t> numbers) {
  std::string out;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    join(out, last == i ? fmt::format("{}", numbers[i]) : fmt::format("{}-{}", numbers[i], numbers[last]));
    i = last + 1;
  }
  return out;
}

std::string shape_text(const Shape& shape) {
  std::string out;
  for (int i = 0; i < shape.rank; ++i) join(out, fmt::format("{}", shape[i]));
  return "(" + out + ")";
}

ParameterCounts count_parameters(const ProgramStorage& program) {
  ParameterCounts out;
  for (const ParamInfo& p : program.params) {
    const int64_t n = p.shape.count().value_or(0);
    switch (p.kind) {
      case ParamKind::embedding:
        out.embedding += n;
        break;
      case ParamKind::linear:
        out.linear += n;
        break;
      case ParamKind::norm:
        out.norm += n;
        break;
      case ParamKind::bias:
        out.bias += n;
        break;
    }
  }
  for (const Step& s : program.steps)
    out.tied =
        out.tied || (s.op == Op::linear && program.params[static_cast<size_t>(s.weight)].kind == ParamKind::embedding);
  return out;
}

}  // namespace kinglet
