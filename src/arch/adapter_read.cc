// Adapters from PEFT directories and GGUF files.
#include <algorithm>
#include <cmath>

#include "arch/adapter.h"
#include "arch/adapter_keys.h"
#include "arch/fingerprint.h"
#include "arch/row_order.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/file.h"
#include "kernels/kernels.h"

namespace kinglet {
namespace {

/// One factor of one pair, as a file holds it.
struct Factor {
  std::string name;  ///< of the tensor, for errors
  ParamId base = kNone;
  char which = 0;  ///< 'a', 'b' or 'm', a magnitude
  TensorView tensor;
};

/// What a file says, before it is held against the model.
struct AdapterFile {
  std::vector<Factor> factors;
  double alpha = 0;
  bool rank_stabilized = false, dora = false;
  std::string fingerprint;            ///< of the base; empty: it does not say
  RowOrder order = RowOrder::halves;  ///< of the rows of B
};

// -- PEFT --

Status read_peft_config(const std::string& path, AdapterFile& out) {
  KL_ASSIGN(const Json config, read_json(join_path(path, "adapter_config.json")));
  const auto flag = [&](const char* key) {
    return config.contains(key) && config[key].is_boolean() && config[key].get<bool>();
  };
  const auto filled = [&](const char* key) {
    return config.contains(key) && config[key].is_object() && !config[key].empty();
  };
  const bool lora = config.is_object() && config.contains("peft_type") && config["peft_type"] == "LORA";
  if (!lora) return error(Code::unsupported, "{}: not a LoRA adapter", path);
  for (const char* key : {"fan_in_fan_out", "lora_bias", "use_qalora"})
    if (flag(key)) return error(Code::unsupported, "{}: adapters with {} are not supported", path, key);
  for (const char* key : {"rank_pattern", "alpha_pattern"})
    if (filled(key)) return error(Code::unsupported, "{}: adapters with a {} are not supported", path, key);
  if (!config.contains("lora_alpha") || !config["lora_alpha"].is_number())
    return error(Code::corrupt, "{}: adapter_config.json has no lora_alpha", path);
  out.alpha = config["lora_alpha"].get<double>();
  out.rank_stabilized = flag("use_rslora");
  out.dora = flag("use_dora");
  return ok_status();
}

ParamId find_linear(const ProgramStorage& program, std::string_view name, std::string ParamInfo::*key) {
  for (size_t i = 0; i < program.params.size(); ++i)
    if (program.params[i].kind == ParamKind::linear && program.params[i].*key == name) return static_cast<ParamId>(i);
  return kNone;
}

/// "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight": the module's weight, and which factor.
Factor peft_factor(const ProgramStorage& program, const safetensors::Tensor& tensor) {
  Factor factor{.name = tensor.name, .tensor = {tensor.dtype, tensor.shape, tensor.data}};
  std::string_view name = tensor.name;
  if (!name.starts_with(kPeftPrefix)) return factor;
  name.remove_prefix(kPeftPrefix.size());
  for (const std::string_view infix : {"", ".default"}) {
    const std::pair<char, std::string> suffixes[] = {{'a', fmt::format(".lora_A{}.weight", infix)},
                                                     {'b', fmt::format(".lora_B{}.weight", infix)},
                                                     {'m', fmt::format(".lora_magnitude_vector{}", infix)},
                                                     {'m', fmt::format(".lora_magnitude_vector{}.weight", infix)}};
    for (const auto& [which, suffix] : suffixes) {
      if (!name.ends_with(suffix)) continue;
      factor.base =
          find_linear(program, fmt::format("{}.weight", name.substr(0, name.size() - suffix.size())), &ParamInfo::hf);
      factor.which = which;
      return factor;
    }
  }
  return factor;
}

Result<AdapterFile> peft_file(const std::string& path, const ProgramStorage& program, const safetensors::File& file) {
  AdapterFile out;
  KL_TRY(read_peft_config(path, out));
  for (const safetensors::Tensor& tensor : file.tensors()) out.factors.push_back(peft_factor(program, tensor));
  const auto fingerprint = file.metadata().find(std::string(kFingerprintKey));
  if (fingerprint != file.metadata().end()) out.fingerprint = fingerprint->second;
  return out;
}

// -- GGUF --

/// "blk.0.attn_q.weight.lora_a".
Factor gguf_factor(const ProgramStorage& program, const gguf::Tensor& tensor) {
  Factor factor{.name = tensor.name, .tensor = {tensor.dtype, tensor.shape, tensor.data}};
  const std::string_view name = tensor.name;
  for (const char which : {'a', 'b'}) {
    const std::string suffix = fmt::format(".lora_{}", which);
    if (!name.ends_with(suffix)) continue;
    factor.base = find_linear(program, name.substr(0, name.size() - suffix.size()), &ParamInfo::gguf);
    factor.which = which;
  }
  return factor;
}

Result<AdapterFile> gguf_file(const std::string& path, const ModelSpec& spec, const gguf::File& file) {
  if (file.get_string("general.type") != "adapter")
    return error(Code::invalid_argument, "{}: a GGUF that is no adapter", path);
  const std::string_view type = file.get_string("adapter.type").value_or("");
  if (type != "lora") return error(Code::unsupported, "{}: an adapter of type \"{}\"; lora is supported", path, type);
  const std::string_view architecture = file.get_string("general.architecture").value_or("");
  if (architecture != spec.architecture->gguf) {
    return error(Code::invalid_argument, "{}: made for a {} model, and this one is {}", path, architecture,
                 spec.architecture->gguf);
  }
  AdapterFile out{.order = RowOrder::interleaved};
  const auto alpha = file.get_float("adapter.lora.alpha");
  if (!alpha) return error(Code::corrupt, "{}: no adapter.lora.alpha", path);
  out.alpha = *alpha;
  for (const gguf::Tensor& tensor : file.tensors()) out.factors.push_back(gguf_factor(spec.program, tensor));
  out.fingerprint = file.get_string(kFingerprintKey).value_or("");
  return out;
}

// -- either, held against the model --

Result<std::vector<float>> values_of(const Factor& factor, const Shape& shape) {
  const TensorView& tensor = factor.tensor;
  if (tensor.shape != shape)
    return error(Code::invalid_argument, "tensor {} does not fit this model: the adapter was made for another",
                 factor.name);
  const DequantizeRow convert = dequantize_row(tensor.dtype);
  if (convert == nullptr || is_quantized(tensor.dtype))
    return error(Code::unsupported, "tensor {} is {}", factor.name, name(tensor.dtype));
  const std::vector<std::byte> aligned(tensor.data.begin(), tensor.data.end());  // old files do not align their data
  std::vector<float> out(static_cast<size_t>(shape.count().value_or(0)));
  convert(aligned.data(), static_cast<int64_t>(out.size()), out.data());
  for (float x : out)
    if (!std::isfinite(x)) return error(Code::corrupt, "tensor {} holds a value that is not finite", factor.name);
  return out;
}

/// Rank of a factor: (R, K) or (N, R).
int64_t rank_of(const Factor& factor) {
  const Shape& shape = factor.tensor.shape;
  return shape.rank != 2 ? 0 : factor.which == 'a' ? shape[0] : shape[1];
}

Status add_factor(const Factor& factor, const AdapterFile& file, const ModelSpec& spec, RowOrder base_order,
                  Adapter& adapter) {
  if (factor.base == kNone) return error(Code::invalid_argument, "tensor {} adapts nothing in this model", factor.name);
  if (factor.which == 'm') return ok_status();  // once the pairs are there
  const int64_t rank = rank_of(factor);
  if (rank < 1 || rank > kMaxRank)
    return error(Code::corrupt, "tensor {} has no rank in 1 to {}", factor.name, kMaxRank);
  auto& pairs = adapter.pairs;
  auto pair = std::find_if(pairs.begin(), pairs.end(), [&](const LoraPair& p) { return p.base == factor.base; });
  if (pair == pairs.end()) {
    const LoraSettings settings{.rank = rank, .alpha = file.alpha, .rank_stabilized = file.rank_stabilized};
    pair = pairs.insert(pair, {.base = factor.base, .R = rank, .scale = static_cast<float>(settings.scale())});
  }
  const ParamInfo& base = spec.program.params[static_cast<size_t>(factor.base)];
  const int64_t N = base.shape[0], K = base.shape[1];
  if (factor.which == 'a') {
    KL_ASSIGN(pair->a, values_of(factor, {pair->R, K}));
    return ok_status();
  }
  KL_ASSIGN(pair->b, values_of(factor, {N, pair->R}));
  if (base.interleaved_heads > 0 && file.order != base_order)
    reorder_rows(pair->b, N, N / base.interleaved_heads, base_order);
  return ok_status();
}

/// DoRA's magnitudes, of every pair or of none.
Status add_magnitudes(const AdapterFile& file, const ModelSpec& spec, RowOrder base_order, Adapter& adapter) {
  for (const Factor& factor : file.factors) {
    if (factor.which != 'm') continue;
    const auto pair = std::find_if(adapter.pairs.begin(), adapter.pairs.end(),
                                   [&](const LoraPair& p) { return p.base == factor.base; });
    if (pair == adapter.pairs.end()) return error(Code::corrupt, "tensor {} has no factors beside it", factor.name);
    const ParamInfo& base = spec.program.params[static_cast<size_t>(factor.base)];
    const int64_t N = base.shape[0];
    KL_ASSIGN(pair->magnitude, values_of(factor, {N}));
    if (base.interleaved_heads > 0 && file.order != base_order)
      reorder_rows(pair->magnitude, N, N / base.interleaved_heads, base_order);
  }
  for (const LoraPair& pair : adapter.pairs)
    if (file.dora && !pair.is_dora())
      return error(Code::corrupt, "{} has no magnitudes", spec.program.params[static_cast<size_t>(pair.base)].hf);
  return ok_status();
}

Result<Adapter> held_against(const std::string& path, const AdapterFile& file, const ModelSpec& spec,
                             const Checkpoint& base) {
  if (!std::isfinite(file.alpha)) return error(Code::corrupt, "{}: its alpha is not finite", path);
  Adapter adapter{.path = path};
  const RowOrder order = base.gguf() ? RowOrder::interleaved : RowOrder::halves;
  for (const Factor& factor : file.factors)
    if (const Status s = add_factor(factor, file, spec, order, adapter); !s.ok()) return annotate(path, s);
  for (const LoraPair& pair : adapter.pairs) {
    if (!pair.a.empty() && !pair.b.empty()) continue;
    return error(Code::corrupt, "{}: {} has only one of its two factors", path,
                 spec.program.params[static_cast<size_t>(pair.base)].hf);
  }
  if (adapter.pairs.empty()) return error(Code::corrupt, "{}: the adapter is empty", path);
  if (const Status s = add_magnitudes(file, spec, order, adapter); !s.ok()) return annotate(path, s);
  if (file.fingerprint.empty()) return adapter;
  KL_ASSIGN(const std::string have, model_fingerprint(base, spec.program));
  if (have == file.fingerprint) return adapter;
  return error(Code::invalid_argument, "{}: made for a model with the fingerprint {}, and this one's is {}", path,
               file.fingerprint, have);
}

}  // namespace

Result<Adapter> read_adapter(const std::string& path, const ModelSpec& spec, const Checkpoint& base, float weight) {
  const auto read = [&]() -> Result<Adapter> {
    if (is_directory(path)) {
      KL_ASSIGN(const safetensors::File file, safetensors::File::open(join_path(path, "adapter_model.safetensors")));
      KL_ASSIGN(const AdapterFile parsed, peft_file(path, spec.program, file));
      return held_against(path, parsed, spec, base);
    }
    KL_ASSIGN(const gguf::File file, gguf::File::open(path));
    KL_ASSIGN(const AdapterFile parsed, gguf_file(path, spec, file));
    return held_against(path, parsed, spec, base);
  };
  KL_ASSIGN(Adapter adapter, read());
  for (LoraPair& pair : adapter.pairs) pair.scale *= weight;
  KL_TRY(set_gains(adapter, spec, base));
  return adapter;
}

}  // namespace kinglet
