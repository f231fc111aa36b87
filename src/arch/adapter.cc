#include "arch/adapter.h"

#include <algorithm>
#include <cmath>

#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "kernels/kernels.h"

namespace kinglet {
namespace {

struct LoraConfig {
  int64_t rank = 0;
  double scale = 1;
};

Result<LoraConfig> read_config(const std::string& path) {
  KL_ASSIGN(const Json config, read_json(join_path(path, "adapter_config.json")));
  const auto flag = [&](const char* key) {
    return config.contains(key) && config[key].is_boolean() && config[key].get<bool>();
  };
  const auto number = [&](const char* key) {
    return config.contains(key) && config[key].is_number() ? config[key].get<double>() : std::nan("");
  };
  const auto filled = [&](const char* key) {
    return config.contains(key) && config[key].is_object() && !config[key].empty();
  };
  if (!config.is_object() || config.value("peft_type", std::string()) != "LORA")
    return error(Code::unsupported, "{}: not a LoRA adapter", path);
  for (const char* key : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"})
    if (flag(key)) return error(Code::unsupported, "{}: adapters with {} are not supported", path, key);
  for (const char* key : {"rank_pattern", "alpha_pattern"})
    if (filled(key)) return error(Code::unsupported, "{}: adapters with a {} are not supported", path, key);
  const double rank = number("r"), alpha = number("lora_alpha");
  if (!(rank >= 1 && rank <= 65536 && rank == std::floor(rank)) || !std::isfinite(alpha))
    return error(Code::corrupt, "{}: adapter_config.json needs r and lora_alpha", path);
  return LoraConfig{static_cast<int64_t>(rank), alpha / (flag("use_rslora") ? std::sqrt(rank) : rank)};
}

// "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight" -> the module's name and which factor; empty where it is neither.
struct Factor {
  std::string module;
  char which = 0;
};
Factor parse_name(std::string_view name) {
  constexpr std::string_view kPrefix = "base_model.model.";
  if (!name.starts_with(kPrefix)) return {};
  name.remove_prefix(kPrefix.size());
  for (char which : {'A', 'B'})
    for (const std::string& suffix :
         {fmt::format(".lora_{}.weight", which), fmt::format(".lora_{}.default.weight", which)})
      if (name.ends_with(suffix)) return {std::string(name.substr(0, name.size() - suffix.size())), which};
  return {};
}

ParamId find_base(const ProgramStorage& program, const std::string& module) {
  for (size_t i = 0; i < program.params.size(); ++i)
    if (program.params[i].kind == ParamKind::linear && program.params[i].hf == module + ".weight")
      return static_cast<ParamId>(i);
  return kNone;
}

Result<std::vector<float>> values_of(const safetensors::Tensor& tensor, const Shape& shape) {
  if (tensor.shape != shape)
    return error(Code::invalid_argument, "tensor {} does not fit this model: the adapter was made for another",
                 tensor.name);
  const DequantizeRow convert = dequantize_row(tensor.dtype);
  if (convert == nullptr || is_quantized(tensor.dtype))
    return error(Code::unsupported, "tensor {} is {}", tensor.name, name(tensor.dtype));
  std::vector<float> out(static_cast<size_t>(*shape.count()));
  convert(tensor.data.data(), static_cast<int64_t>(out.size()), out.data());
  for (float x : out)
    if (!std::isfinite(x)) return error(Code::corrupt, "tensor {} holds a value that is not finite", tensor.name);
  return out;
}

// Rows of a head from halves (i, i + D / 2) to pairs (2i, 2i + 1), as GGUF's llama family stores q and k.
std::vector<float> interleave_rows(const std::vector<float>& rows, int64_t heads, int64_t N, int64_t R) {
  const int64_t D = N / heads;
  std::vector<float> out(rows.size());
  for (int64_t n = 0; n < N; ++n) {
    const int64_t head = n / D, i = n % D;
    const int64_t to = head * D + (i < D / 2 ? 2 * i : 2 * (i - D / 2) + 1);
    std::copy_n(rows.begin() + n * R, R, out.begin() + to * R);
  }
  return out;
}

SlotId add_slot(ProgramStorage& program, int64_t width, Rows rows) {
  program.slots.push_back({static_cast<int32_t>(width), kNone, 0, rows});
  return static_cast<SlotId>(program.slots.size() - 1);
}

ParamId add_param(ProgramStorage& program, const ParamInfo& base, char which, Shape shape,
                  const std::vector<float>& values) {
  program.params.push_back({.gguf = fmt::format("{}.lora_{}", base.gguf, which),
                            .hf = fmt::format("{}.lora_{}", base.hf, which),
                            .shape = shape,
                            .layer = base.layer,
                            .values = values});
  program.shapes.push_back({shape});
  return static_cast<ParamId>(program.params.size() - 1);
}

// y = W x  becomes  y0 = W x; a = A x; a' = scale a; b = B a'; y = y0 + b, so that whoever reads y need not change.
void append_adapted(ProgramStorage& program, std::vector<Step>& steps, Step linear, const LoraPair& pair, ParamId a,
                    ParamId b) {
  const SlotId y = linear.out, x = linear.in[0];
  const Rows rows = program.slots[static_cast<size_t>(y)].rows;
  const int64_t width = program.slots[static_cast<size_t>(y)].width;
  const auto make = [&](Op op, SlotId in0, SlotId in1, SlotId out, ParamId weight, Attr attr = {}) {
    Step step{.op = op, .layer = linear.layer, .out = out, .weight = weight, .attr = attr};
    step.in[0] = in0;
    step.in[1] = in1;
    steps.push_back(step);
  };
  linear.out = add_slot(program, width, rows);
  steps.push_back(linear);
  const SlotId reduced = add_slot(program, pair.R, rows), scaled = add_slot(program, pair.R, rows),
               delta = add_slot(program, width, rows);
  make(Op::linear, x, kNone, reduced, a);
  make(Op::scale, reduced, kNone, scaled, kNone, {.factor = pair.scale});
  make(Op::linear, scaled, kNone, delta, b);
  make(Op::add, linear.out, delta, y, kNone);
}

}  // namespace

Result<Adapter> read_adapter(const std::string& path, const ProgramStorage& program, Checkpoint::Kind base_kind,
                             float weight) {
  KL_ASSIGN(const LoraConfig config, read_config(path));
  KL_ASSIGN(const safetensors::File file, safetensors::File::open(join_path(path, "adapter_model.safetensors")));
  Adapter adapter{.path = path};
  for (const safetensors::Tensor& tensor : file.tensors()) {
    const Factor factor = parse_name(tensor.name);
    const ParamId base = factor.which == 0 ? kNone : find_base(program, factor.module);
    if (base == kNone)
      return error(Code::invalid_argument, "{}: tensor {} adapts nothing in this model", path, tensor.name);
    auto pair =
        std::find_if(adapter.pairs.begin(), adapter.pairs.end(), [base](const LoraPair& p) { return p.base == base; });
    if (pair == adapter.pairs.end())
      pair = adapter.pairs.insert(pair,
                                  {.base = base, .R = config.rank, .scale = static_cast<float>(config.scale) * weight});
    const Shape& shape = program.params[static_cast<size_t>(base)].shape;
    auto& into = factor.which == 'A' ? pair->a : pair->b;
    const auto values =
        values_of(tensor, factor.which == 'A' ? Shape{config.rank, shape[1]} : Shape{shape[0], config.rank});
    if (!values.ok()) return annotate(path, values.status());
    into = *values;
    const int32_t heads = program.params[static_cast<size_t>(base)].interleaved_heads;
    if (factor.which == 'B' && heads > 0 && base_kind == Checkpoint::Kind::gguf)
      into = interleave_rows(into, heads, shape[0], config.rank);
  }
  for (const LoraPair& pair : adapter.pairs)
    if (pair.a.empty() || pair.b.empty())
      return error(Code::corrupt, "{}: {} has only one of its two factors", path,
                   program.params[static_cast<size_t>(pair.base)].hf);
  if (adapter.pairs.empty()) return error(Code::corrupt, "{}: the adapter is empty", path);
  return adapter;
}

Status apply_adapter(ProgramStorage& program, const Adapter& adapter) {
  std::vector<std::pair<ParamId, ParamId>> added;
  for (const LoraPair& pair : adapter.pairs) {
    const ParamInfo base = program.params[static_cast<size_t>(pair.base)];
    const ParamId a = add_param(program, base, 'a', {pair.R, base.shape[1]}, pair.a);
    added.emplace_back(a, add_param(program, base, 'b', {base.shape[0], pair.R}, pair.b));
  }
  std::vector<Step> steps;
  for (const Step& step : program.steps) {
    const auto pair = std::find_if(adapter.pairs.begin(), adapter.pairs.end(),
                                   [&](const LoraPair& p) { return step.op == Op::linear && p.base == step.weight; });
    if (pair == adapter.pairs.end()) {
      steps.push_back(step);
    } else {
      const auto& [a, b] = added[static_cast<size_t>(pair - adapter.pairs.begin())];
      append_adapted(program, steps, step, *pair, a, b);
    }
  }
  program.steps = std::move(steps);
  return validate(program.view());
}

}  // namespace kinglet
